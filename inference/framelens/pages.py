"""The article of an HTML page: its headline and its main text (extra `html`)."""

from __future__ import annotations

import re
from typing import Any

from framelens.errors import MissingExtraError
from framelens.schema import RowError
from framelens.sentences import words_alone

_BEFORE_SITE = re.compile(r"\s*\|\s*|\s+(?:[–—―·•«»/-]|--|::)\s+")
_BESIDE_SITE = re.compile(rf"{_BEFORE_SITE.pattern}|:\s+")
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_RUBRIC_WORDS = 2  # at most; what follows has more than twice as many, or may be a site's name
_MOST_CHARACTERS = 500  # of a title in which a site's name is looked for
_TOP_LINES = 5  # of a page's text, among which its heading stands
_FEW_WORDS = 25  # of main text: fewer may be all that stands there until a script shows the rest
_MANY_TIMES = 10  # as many words, at least, are hidden then
_HOLDS_STORY = "boolean(descendant-or-self::*[self::article or self::main or self::h1])"
_READABLE = ".//text()[not(ancestor::script or ancestor::style)]"


def extract_page(page: bytes | str) -> dict[str, str] | RowError:
    """Headline and main text of an HTML page or a piece of one, as plain text.

    What has the attribute `hidden` is not read, unless the article is in it, for a script to show.

    Returns:
        The fields `text` and, where the page has one, `headline`, which the text does not hold
        once more; a `RowError` where there is no main text, as in a line without markup.

    Raises:
        MissingExtraError: if the extractor is not installed.
    """
    try:
        import trafilatura
    except ImportError as error:
        raise MissingExtraError("trafilatura", "html", "reading HTML pages") from error
    source = page if isinstance(page, str) else _decoded(page)
    tree = trafilatura.load_html(source)
    hidden = 0 if tree is None else _drop_hidden(tree)
    whole = "" if tree is None else " ".join((tree.findtext(".//title") or "").split())
    found = _extracted(tree)
    visible = 0 if found is None else len((found.text or "").split())
    if visible < _FEW_WORDS and hidden >= _MANY_TIMES * max(visible, 1):
        found = _extracted(trafilatura.load_html(source))
    row: dict[str, str] = {}
    if found is not None:
        site = found.sitename or ""
        if "." in site and " " in site:  # the extractor's guess: a part of the title with a stop
            site = ""
        text = found.text or ""
        title = _without_site(_title(found.title or "", whole, text), site)
        row["text"], headline = _parted(text, title, _without_site(_heading(found), site))
        if headline:
            row["headline"] = headline
    if not row.get("text"):
        message = "expected a page with an article in it, found no main text"
        return RowError("no_main_text", message)
    return row


def _drop_hidden(tree: Any) -> int:
    """Remove what has the attribute `hidden`; the words of it that may be the page's article, which
    is none where another is in sight.
    """
    words = 0
    # What stands in others before these.
    for element in reversed(tree.xpath(".//*[@hidden][not(self::body)]")):
        if element.xpath(_HOLDS_STORY):
            words += sum(len(text.split()) for text in element.xpath(_READABLE))
        element.drop_tree()
    return 0 if tree.xpath("boolean(.//article[normalize-space()])") else words


def _extracted(tree: Any) -> Any:
    """What the extractor draws out of a page; `None` if it finds nothing."""
    import trafilatura

    found = trafilatura.bare_extraction(tree, include_comments=False, with_metadata=True)
    return None if isinstance(found, dict) else found


def _decoded(page: bytes) -> bytes | str:
    """A page as it declares itself, where it is not UTF-8: what is not declared is guessed.

    What calls itself Latin-1 is read as Windows-1252, as browsers read it.
    """
    declared = _CHARSET.search(page, 0, 2048)
    if declared is None:
        return page
    name = declared[1].decode("ascii").lower()
    try:
        page.decode("utf-8")
    except UnicodeDecodeError:
        try:
            return page.decode("cp1252" if name in ("iso-8859-1", "latin1", "us-ascii") else name)
        except (LookupError, UnicodeError):
            return page
    return page


def _title(title: str, whole: str, text: str) -> str:
    """The extractor's title; of the page's whole title the first part, if it took the site's.

    It does so where the first part has a full stop, or where the page's only heading is the site's.
    """
    name = words_alone(title)
    if len(whole) > _MOST_CHARACTERS or name in map(words_alone, text.split("\n")[:_TOP_LINES]):
        return title
    for mark in _BEFORE_SITE.finditer(whole):
        first, last = whole[: mark.start()], whole[mark.end() :]
        is_site = len(last.split()) <= 2 * _RUBRIC_WORDS < len(first.split())
        if is_site and words_alone(last) == name:
            return first
    return title


def _without_site(title: str, site: str) -> str:
    """A title without the name of its site at either end, which would be read as a source."""
    name = words_alone(site)
    if not name or len(title) > _MOST_CHARACTERS:
        return title
    for mark in _BESIDE_SITE.finditer(title):
        if words_alone(title[mark.end() :]) == name:
            return title[: mark.start()]
        if words_alone(title[: mark.start()]) == name:
            return title[mark.end() :]
    return "" if words_alone(title) == name else title


def _heading(found: Any) -> str:
    """The first heading of an extracted text that is longer than a rubric."""
    heads = [] if found.body is None else found.body.iter("head")
    texts = (" ".join("".join(h.itertext()).split()) for h in heads if h.get("rend") == "h1")
    return next((text for text in texts if len(text.split()) > _RUBRIC_WORDS), "")


def _parted(text: str, title: str, heading: str) -> tuple[str, str]:
    """A page's text without the line at its top that is its headline, and the headline.

    That line is the page's title, or its heading, which may be worded otherwise. A title that is
    that line and the site's name ("Wall shut | Tarn Courier"), or its rubric ("Opinion | Who shut
    the wall?"), loses the name and the rubric. A line that is all of the text, as on a page of one
    post, stays.
    """
    sites = list(_BEFORE_SITE.finditer(title))
    starts = [0]
    if sites:
        rubric, rest = title[: sites[0].start()].split(), title[sites[0].end() :].split()
        if len(rubric) <= _RUBRIC_WORDS and len(rest) > 2 * _RUBRIC_WORDS:
            starts.append(sites.pop(0).end())
    ends = (len(title), *(site.start() for site in sites[-3:]))
    pieces = (title[start:end] for start in starts for end in ends)
    titles = {words_alone(piece): piece for piece in pieces}
    lines = text.split("\n")
    for headlines in (titles, {words_alone(heading): heading}):
        for number, line in enumerate(lines[:_TOP_LINES]):
            words = words_alone(line)
            if words and words in headlines and len(lines) > 1:
                del lines[number]
                return "\n".join(lines), headlines[words]
    return text, title
