"""Lines and paragraphs of an article's raw text, and which lines are page furniture.

A line break ends a paragraph, unless the text is hard-wrapped: then the lines that a wrapping
width broke in mid-sentence are put together again. Both are told from the layout alone; no
label is given here. That a line looks like furniture only keeps it whole: the model says what
it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from framelens.sentences import INVISIBLE, stripped

WRAP_WIDTHS = range(40, 101)
"""Line lengths, in code points, between which text counts as hard-wrapped."""

MAX_FURNITURE = 200
"""Length over which a line is running text, whatever its first words are."""

_WITHOUT_INVISIBLE = dict.fromkeys(map(ord, INVISIBLE))
_LINE = re.compile(r"[^\n\r\v\f\x85\u2028\u2029]+")
_BREAK = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")
_FIRST_WORD = re.compile(r"\S{1,40}")
_LIST_ITEM = re.compile(r"(?:[-*•·‣–—]|\(?\d{1,3}[.)])[ \t\xa0]")
_SENTENCE_END = re.compile(r"[.!?…:][\"'”’»)\]]*\Z")
_MIN_SHARE_MID_SENTENCE = 0.25
"""Least share of full lines that a lower-case word follows; running text has 0.4 to 0.8."""

# Lines that stay whole although they may hold a full stop. Each pattern must match the whole
# line, and none may match running text that merely begins with the same word ("Home prices
# rose.", "Share prices fell.", "By the river, a wall fails").
_FURNITURE_PATTERNS = (
    # navigation, exact
    r"(?:menu|home|search|newsletters?|print|e-?mail|share|tweet|pin|save|comments?|bookmark"
    r"|copy link|log ?in|sign in|register|subscribe|donate|advert(?:isement)?|sponsored|promoted"
    r"|trending|close|about us|contact us|privacy(?: policy)?|cookies(?: policy)?|back to top"
    r"|related|more|video|photos)"
    r"(?: ?\(?\d+\)?)?|home(?:(?: ?[>»›]| [|/·•] )[^>»›|/·•.]{1,40}){1,8}",
    # sharing, sign-up, prompts
    r"(?:share|tweet|e-?mail|pin|bookmark) (?:this|on|via)\b.*|(?:print|save) this\b.*",
    r"(?:sign up|subscribe|log ?in) (?:to|for|now|here|today|with)\b.*",
    r"register (?:now|here|today|for free)\b.*|join (?:us|our)\b.*",
    r"(?!like us,)(?:follow|like|support|contact|e-?mail) "
    r"(?:us|our (?:journalism|newsroom|work|page|channel))\b.*",
    r"(?:click|tap) (?:here|to)\b.*|get (?:the|our) (?:app|newsletter|latest|daily|free)\b.*",
    r"(?:continue reading|skip to|scroll down|we use cookies|this site uses)\b.*",
    r"(?:do|did|have|were|are) you\b.{0,100}\? (?:please )?"
    r"(?:write|e-?mail|contact|get in touch|let us know|tell us|send us|call us)\b.*",
    # teasers of other stories
    r"(?:read|see|watch|listen|hear|learn|find out|view|show|load) "
    r"(?:more|also|next|full story)\b.*",
    r"more (?:on this|from|stories|coverage|in this section)\b.{0,80}",
    r"most (?:read|viewed|popular)"
    r"(?: (?:stories|articles|news|videos|in|on|this|today|now)\b"
    r"(?:[^,]|,(?! (?-i:[a-z]))){0,80})?",
    r"(?:more|related|recommended|also|now read|up next|don['’]t miss|editors?['’]s? picks?)"
    r"(?: (?:stories|articles?|news|coverage|reading|links?|content|videos?))?(?::.*|)",
    # credits and copyright
    r"(?:photo(?:graph)?s?|pictures?|images?|illustration|graphic|credit)(?: credits?| by)?\s?:.*",
    r"(?:photo(?:graph)?|picture|image|illustration|graphic|video)s? "
    r"(?:by|courtesy of|via)\b.{0,80}[^.]",
    r"\(?(?:additional |further )?(?:reporting|editing|writing|compiled|edited|produced) by\b"
    r"(?! (?!(?:our|the|staff|wire|de|van|von|el|al)\b)(?-i:[a-z])).*",
    r"\(?reporting by\b.*[.;] ?(?:editing|edited|writing|produced) by\b.*",
    r"\(?with (?:files|contributions|material) from\b.*",
    r".*\bcontributed to this (?:report|story|article)\b(?! of\b).*",
    r".*\b\d+[- ]min(?:ute)?s?[- ]read\b(?! of\b).*",
    r"(?:©|\(c\)\s|copyright\s(?:[©ⓒ]|\(c\)\s|(?!(?:act|cases?|claims?|laws?|rules?)\b)"
    r"(?:(?:by|of|the|and|in|all|content|(?-i:[A-Z])\S*)\s){0,5}(?:19|20)\d\d\b)).*"
    r"|.*\ball rights reserved\b.*",
    # dates
    r"(?:first )?(?:published|updated|posted|last (?:updated|modified))"
    r"(?:\s?:| (?:on|at|by)?\s?\d)[^.]*",
    r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,? )?"
    r"(?:\d{1,2} MONTH|MONTH \d{1,2}),? \d{4}\b[^.]{0,40}",
    r"STAMP",
    r"\d{1,2} (?:min(?:ute)?|h(?:ou)?r|day|week|month|year)s? ago",
)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
# Dates and times, and nothing else. Each is an atomic group, the longest reading first: "10.10.24"
# is a date and a time, and a line of many would be tried in each combination.
_STAMP = (
    r"(?:(?:first |last )?(?:published|updated|posted|modified):? )?(?=\D*\d)"
    r"(?>(?:at|on|(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?"
    r"|jan(?:uary)?\.?|feb(?:ruary)?\.?|mar(?:ch)?\.?|apr(?:il)?\.?|may|june?|july?"
    r"|aug(?:ust)?\.?|sept?(?:ember)?\.?|oct(?:ober)?\.?|nov(?:ember)?\.?|dec(?:ember)?\.?"
    r"|\d{1,4}(?:st|nd|rd|th|(?:[:.]\d{2}){0,2}(?:\s?[ap]\.?m\.?)?|[-/.]\d{1,2}[-/.]\d{2,4})"
    r"|gmt|utc|ist|bst|ces?t|ae[sd]t|[ecmp][sd]?t)(?:,?\s+(?:[|•·–—-]\s+)?|\Z))+"
)
_FURNITURE = re.compile(
    "|".join(
        pattern.replace("MONTH", _MONTH).replace("STAMP", _STAMP) for pattern in _FURNITURE_PATTERNS
    ),
    re.IGNORECASE,
)
_CAPITALS = "".join(filter(str.isupper, map(chr, range(0x2000))))
_NAME = rf"[{_CAPITALS}][\w\u0300-\u036f.'’-]*"  # an accent may be a mark of its own
_BYLINE = re.compile(
    r"(?:(?:(?:Written|Posted|Story) )?[Bb]y|BY):? "
    r"(?!(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|Christmas|Easter|Thanksgiving)\s[–—-])"
    rf"{_NAME}"
    rf"(?:[ ,&/]{{1,2}}(?:{_NAME}|and|of|for|de|van|von|in|the)){{0,11}}"
    r"(?: \([^()]{1,40}\))?(?: @\w{1,30})?"
    rf"(?:\s?[|•·–—].*|,? (?i:{_STAMP}))?"
)
_DEGREE = re.compile(r",? (?:[JS]r|(?:[A-Z][a-z]?\.)+[A-Z])\.\Z")
"""What a byline may end in: "Ann Lee Jr.", "Ann Lee, Ph.D."."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank: offsets without outer white space, and what precedes it."""

    start: int
    end: int
    indent: int
    """White space before the first character, in code points."""
    after_blank: bool
    """Whether a blank line, or nothing, comes before."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A stretch of the text without outer white space; `lines` is 1 unless it was hard-wrapped."""

    start: int
    end: int
    lines: int


def split_lines(text: str) -> list[Line]:
    r"""Lines of `text` that are not blank, in order.

    Lines end at any of the line ends that Unicode knows; `\r\n` is one of them.
    """
    lines: list[Line] = []
    previous_end = 0
    for found in _LINE.finditer(text):
        start, end = stripped(text, found.start(), found.end())
        if start == end:
            continue
        breaks = _BREAK.findall(text, previous_end, found.start())
        after_blank = not lines or len(breaks) > 1
        lines.append(Line(start, end, start - found.start(), after_blank))
        previous_end = found.end()
    return lines


def split_paragraphs(text: str) -> list[Paragraph]:
    """Paragraphs of `text`, in order: one a line, hard-wrapped lines put together again."""
    lines = split_lines(text)
    width = _wrap_width(text, lines)
    paragraphs: list[Paragraph] = []
    first = 0
    for i in range(1, len(lines) + 1):
        if i < len(lines) and width and _goes_on(text, lines[i - 1], lines[i], width):
            continue
        paragraphs.append(Paragraph(lines[first].start, lines[i - 1].end, i - first))
        first = i
    return paragraphs


def is_furniture(line: str) -> bool:
    """Whether a line reads like page furniture: sharing, teasers, credits, bylines, copyright."""
    if len(line) > MAX_FURNITURE:
        return False
    plain = " ".join(line.translate(_WITHOUT_INVISIBLE).split())
    if _FURNITURE.fullmatch(plain):
        return True
    name = _DEGREE.sub("", plain)
    return _BYLINE.fullmatch(name) is not None and _SENTENCE_END.search(name) is None


def _wrap_width(text: str, lines: Sequence[Line]) -> int:
    """The width at which `text` is hard-wrapped, in code points; 0 if it is not.

    The sign of wrapping is a line that stops in mid-sentence where the next word would not
    have fitted. Lists, furniture and one paragraph a line give few such lines, and not at
    one width.
    """
    pairs = [
        (above, below)
        for above, below in pairwise(lines)
        if not below.after_blank
        and above.end - above.start in WRAP_WIDTHS
        and not _stands_alone(text, below)
    ]
    broken = sorted(
        above.indent + above.end - above.start
        for above, below in pairs
        if _breaks_sentence(text, above, below)
    )
    if not broken:
        return 0
    width = broken[(len(broken) - 1) * 19 // 20]  # some hold a word longer than the width
    full = [above for above, below in pairs if _is_full(text, above, below, width - 12)]
    at_width = sum(length > width - 25 for length in broken)
    if len(broken) < _MIN_SHARE_MID_SENTENCE * len(full) or at_width < 0.8 * len(broken):
        return 0
    return width


def _goes_on(text: str, above: Line, below: Line, width: int) -> bool:
    marker = _LIST_ITEM.match(text, above.start)
    hanging = marker is not None and below.indent == above.indent + len(marker.group())
    if below.after_blank or (below.indent > above.indent + 1 and not hanging):
        return False
    length = above.end - above.start
    if length < WRAP_WIDTHS[0] // 2 or length > width + 20:
        return False
    if _stands_alone(text, below) or is_furniture(text[above.start : above.end]):
        return False
    return _breaks_sentence(text, above, below) or _is_full(text, above, below, width)


def _stands_alone(text: str, line: Line) -> bool:
    """Whether a line is a list item or furniture, which no line above can go on in."""
    if _LIST_ITEM.match(text, line.start):
        return True
    return not text[line.start].islower() and is_furniture(text[line.start : line.end])


def _breaks_sentence(text: str, above: Line, below: Line) -> bool:
    tail = text[max(above.start, above.end - 4) : above.end]
    return text[below.start].islower() and _SENTENCE_END.search(tail) is None


def _is_full(text: str, above: Line, below: Line, width: int) -> bool:
    """Whether the first word below would not have fitted above."""
    word = _FIRST_WORD.match(text, below.start)
    next_length = len(word.group()) if word else 0
    return above.indent + above.end - above.start + 1 + next_length > width
