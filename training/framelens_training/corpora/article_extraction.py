"""Article extraction benchmark: whole web pages, and the body of the article in each.

What it annotates: `boilerplate`. The visible lines of a page are the segments; a line is
body when its words stand in the article's body in the same order and boilerplate when they
do not. Masked, because the benchmark does not settle them:

* the article's own headline and standfirst, which are no furniture but stand outside the
  benchmark's body;
* captions, of which the description belongs to the article and the credit does not;
* lines that are partly body.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from lxml import etree, html

from framelens_training.corpora.base import CorpusInfo
from framelens_training.corpora.labelled import GoldSegment, LabelledDocument
from framelens_training.corpora.reading import CorpusReader, ReadLog, Splits, wording
from framelens_training.corpora.splits import split

BODY_SHARE = 0.8
"""Least share of a line's word triples that stand in the body, for a line of it."""
FURNITURE_SHARE = 0.2
"""Largest such share for a line that is boilerplate; lines between the two are masked."""
SHORT_LINE = 3
"""Lines of up to so many words are body only when they are a line of it, word for word:
"Share" is a button even on a page whose article has the word."""

ENGLISH_SHARE = 0.1
"""Least share of a body's words among a few English function words.

In this corpus English prose has 0.13 to 0.31, other languages 0 to 0.08; two English pages that
are lists of names and numbers have less than 0.03 and are left out with the others.
"""

_HIDDEN = frozenset({
    "script", "style", "noscript", "template", "head", "title", "meta", "link", "svg",
    "math", "iframe", "object", "embed", "canvas", "audio", "video", "select", "option",
    "datalist", "input", "textarea", "map",
})  # fmt: skip
_INLINE = frozenset({
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn",
    "em", "font", "i", "img", "ins", "kbd", "label", "mark", "meter", "output", "picture",
    "progress", "q", "rp", "rt", "ruby", "s", "samp", "small", "source", "span", "strike",
    "strong", "sub", "sup", "time", "tt", "u", "var", "wbr", "amp-img",
})  # fmt: skip
_INVISIBLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_TITLES = (
    "//meta[@property='og:title']/@content",
    "//meta[@name='twitter:title']/@content",
    "/html/head/title/text()",
    "//h1",
)
_SUMMARIES = (
    "//meta[@property='og:description']/@content",
    "//meta[@name='description']/@content",
    "//meta[@name='twitter:description']/@content",
)
_CAPTION = re.compile(r"caption", re.IGNORECASE)
_FUNCTION_WORDS = frozenset({
    "the", "of", "and", "to", "in", "that", "for", "is", "on", "with", "was",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A visible line of a page; `caption` if it stands in a picture's caption."""

    text: str
    caption: bool = False


class ArticleExtraction(CorpusReader):
    """Reader of scrapinghub/article-extraction-benchmark, split here by host."""

    folder: ClassVar[str] = "article-extraction-benchmark"
    info = CorpusInfo(
        name="article-extraction",
        title="Article extraction benchmark",
        licence="MIT",
        annotated=frozenset({"boilerplate"}),
        upstream="scrapinghub/article-extraction-benchmark",
        commit="11b407d43934becc20873bb3dcd5e3d2591746d3",
        paths=("ground-truth.json", "html"),
    )

    def _read(self, folder: Path, log: ReadLog) -> Splits:
        where = f"{self.folder}/ground-truth.json"
        truth = _read_truth(folder / "ground-truth.json", where, log)
        for path in sorted((folder / "html").glob("*.html.gz")):
            if path.name.removesuffix(".html.gz") not in truth:
                log.note(f"{self.folder}/html/{path.name}", "", "dropped", "page without a body")
        documents: list[LabelledDocument] = []
        for name, (body, url) in sorted(truth.items()):
            page = f"{self.folder}/html/{name}.html.gz"
            path = folder / "html" / f"{name}.html.gz"
            if not path.exists():
                log.note(where, name, "dropped", "body without its page")
            elif not _is_english(body):
                log.note(page, "", "dropped", "page that is not English prose")
            else:
                try:
                    markup = gzip.decompress(path.read_bytes())
                except (OSError, EOFError, zlib.error) as error:
                    log.complain(page, f"expected a gzip file, found {error}")
                    continue
                document = _document(name, markup, body, url, page, log)
                if document is not None:
                    documents.append(document)
        return split(documents)


def _read_truth(path: Path, where: str, log: ReadLog) -> dict[str, tuple[str, str]]:
    """Body and address by name of the page."""
    try:
        content: Any = json.loads(path.read_bytes())
    except ValueError as error:
        log.complain(where, f"expected a JSON object in UTF-8, found {error}")
        return {}
    truth: dict[str, tuple[str, str]] = {}
    for name, entry in content.items() if isinstance(content, dict) else ():
        body = entry.get("articleBody") if isinstance(entry, dict) else None
        url = entry.get("url", "") if isinstance(entry, dict) else None
        if isinstance(body, str) and isinstance(url, str):
            truth[name] = (body, url)
        else:
            log.complain(f"{where}: {name}", "expected 'articleBody' and 'url', both strings")
    if not isinstance(content, dict):
        log.complain(where, f"expected an object of pages, found {type(content).__name__}")
    return truth


def _is_english(text: str) -> bool:
    found = wording(text).split()
    return sum(word in _FUNCTION_WORDS for word in found) >= ENGLISH_SHARE * max(1, len(found))


def _document(
    name: str, markup: bytes, body: str, url: str, where: str, log: ReadLog
) -> LabelledDocument | None:
    try:
        root = html.document_fromstring(markup, parser=html.HTMLParser(encoding="utf-8"))
    except etree.ParserError as error:
        log.note(where, "", "dropped", f"page that cannot be parsed ({error})")
        return None
    matcher = _Matcher.of(body, root)
    lines = list(visible_lines(root))
    segments: list[GoldSegment] = []
    start = 0
    for number, line in enumerate(lines, start=1):
        boilerplate, reason = matcher.judge(line)
        if reason:
            log.note(where, number, "masked", reason)
        segments.append(GoldSegment("text", start, start + len(line.text), boilerplate=boilerplate))
        start += len(line.text) + 1
    if not any(segment.boilerplate is False for segment in segments):
        log.note(where, "", "dropped", "page in which no line of the body is found")
        return None
    return LabelledDocument(
        id=f"article-extraction/{name}",
        text="\n".join(line.text for line in lines),
        url=url or None,
        annotated=ArticleExtraction.info.annotated,
        segments=tuple(segments),
        meta={"group": urlsplit(url).hostname or name, "source_file": where},
    )


def visible_lines(root: html.HtmlElement) -> list[Line]:
    """The lines that a reader of the page sees: text between the edges of block elements.

    White space is folded to single spaces; lines without a letter or digit are left out.
    """
    lines: list[Line] = []
    pending: list[str] = []

    def flush(caption: bool) -> None:
        text = " ".join("".join(pending).split())
        pending.clear()
        if any(character.isalnum() for character in text):
            lines.append(Line(text, caption))

    def walk(element: html.HtmlElement, caption: bool) -> None:
        pending.append(element.text or "")
        for child in element:
            if isinstance(child.tag, str) and not _is_hidden(child):
                inline = child.tag in _INLINE
                inside = caption or child.tag == "figcaption" or bool(
                    not inline and _CAPTION.search(child.get("class", ""))
                )  # fmt: skip
                if not inline:
                    flush(caption)
                walk(child, inside)
                if not inline:
                    flush(inside)
            pending.append(child.tail or "")

    walk(root, False)
    flush(False)
    return lines


def _is_hidden(element: html.HtmlElement) -> bool:
    return (
        element.tag in _HIDDEN
        or "hidden" in element.attrib
        or _INVISIBLE.search(element.get("style", "")) is not None
    )


@dataclass(frozen=True, slots=True)
class _Matcher:
    """What is known of an article, as wordings (see `wording`), to tell a page's lines apart."""

    body_lines: frozenset[str]
    triples: frozenset[tuple[str, ...]]
    titles: tuple[str, ...]
    summaries: tuple[str, ...]

    @classmethod
    def of(cls, body: str, root: html.HtmlElement) -> _Matcher:
        def values(paths: tuple[str, ...]) -> tuple[str, ...]:
            found = [value for path in paths for value in root.xpath(path)]
            texts = [v if isinstance(v, str) else v.text_content() for v in found]
            return tuple(filter(None, dict.fromkeys(map(wording, texts))))

        return cls(
            frozenset(wording(line) for line in body.splitlines()),
            frozenset(_triples(wording(body).split())),
            values(_TITLES),
            values(_SUMMARIES),
        )

    def judge(self, line: Line) -> tuple[bool | None, str]:
        """Whether a line is boilerplate, or `None` and the reason why it is masked."""
        line_wording = wording(line.text)
        found = line_wording.split()
        if line_wording in self.body_lines:
            return False, ""
        share = 0.0
        if len(found) > SHORT_LINE:
            triples = _triples(found)
            share = sum(triple in self.triples for triple in triples) / len(triples)
        if share >= BODY_SHARE:
            return False, ""
        if _says(line_wording, self.titles):
            return None, "the article's headline, which the benchmark leaves out of the body"
        if _says(line_wording, self.summaries):
            return None, "the article's standfirst, which the benchmark leaves out of the body"
        if line.caption:
            return None, "caption"
        if share > FURNITURE_SHARE:
            return None, "line that is partly body"
        return True, ""


def _triples(found: list[str]) -> list[tuple[str, ...]]:
    return [tuple(found[at : at + 3]) for at in range(len(found) - 2)]


def _says(line: str, texts: tuple[str, ...]) -> bool:
    """Whether a line is one of the texts, or a part of it that is long enough to tell."""
    return any(
        line == text or (line.count(" ") >= SHORT_LINE and f" {line} " in f" {text} ")
        for text in texts
    )
