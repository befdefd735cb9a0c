"""What a headline does with the attribution of the body segment that carries its claim."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from framelens.alignment import is_function_word
from framelens.relations import relations_of
from framelens.schema import Attribution, ScoredSegment, Span
from framelens.sentences import AFTER_STOP

QUOTED_SHARE = 0.4
"""Share of a headline's words between quotation marks from which the marks keep an attribution."""

_DOCUMENT_NAMES = """
data documents e-mails emails figures files papers polls records reports statistics studies
surveys tests
"""
_DOCUMENTS = frozenset(_DOCUMENT_NAMES.split())
"""Plurals that are no people: they hide nobody."""

_COLON_SOURCES = """
audit auditor auditors boss campaigners chief coroner court critics expert experts governor inquest
inquiry insiders judge lawyer leader mayor minister officials police poll president probe prosecutor
prosecutors report reports researchers scientists source sources spokesman spokeswoman study survey
union watchdog witnesses
"""
_AFTER_COLON = frozenset(_COLON_SOURCES.split())
"""Last words of what stands before or after a headline's colon, or behind a dash, as its source."""

_COLON_VERBS = frozenset(["claim", "claims", "find", "finds", "say", "says", "warn", "warns"])
"""What may follow them: "Officials warn: wall to fall"."""

_CLASS_NAMES = """
activists advocates aides analysts campaigners critics customers detectives diplomats doctors
economists employees engineers experts farmers fans firefighters fishers historians insiders
investigators journalists lawmakers lawyers locals neighbors neighbours nurses observers officers
officials opponents owners parents passengers patients prosecutors protesters relatives researchers
residents scholars scientists sources students supporters survivors teachers tenants unions victims
villagers volunteers voters witnesses workers
"""
_CLASSES = frozenset(_CLASS_NAMES.split())
"""Classes of people, which a capital at the start of a headline does not make a name."""

_HEDGES = re.compile(
    r"\b(?:allegedly|apparently|purportedly|reportedly|supposedly|alleged|purported|"
    r"(?:is|are|was|were) said to|said to (?=be\b|have\b)|accused of|suspected of|rumou?red|"
    r"claims emerge|"
    r"allegations?|warning(?=:))\b",
    re.IGNORECASE,
)
_DECISIONS = re.compile(
    r"\b(?:(?:appoint|convict|grant|(?<!\bin\s)order|overturn|reject)(?:s|ed|ing)?|"
    r"(?:approv|decid|nominat|sentenc)(?:es?|ed|ing)|acquit(?:s|ted|ting)?|ban(?:s|ned)|fin(?:ed|es)|"
    r"pass(?:ed|es)|rul(?:ed|es|ing)|strikes? down|struck down|vot(?:ed|es))\b",
    re.IGNORECASE,
)
_CONVICTION = re.compile(
    r"(?<!\bto\s)(?<!\bwill\s)\bf(?:ou|i)nds?\s+"
    r"(?:(?!(?:that|which|who|how|is|was|were)\b)[\w'’-]+,?\s+){0,6}"
    r"(?<!\bthe\s)(?<!\bthose\s)(?<!\bfeeling\s)guilty\b",
    re.IGNORECASE,
)
"""As in "found the former minister guilty", not "found that he was guilty"."""
_CLOSERS = {
    "'": "'’",
    "‘": "’'",
    '"': '"”',
    "“": '”"',
    "„": "“”",
    "‚": "‘’",
    "«": "»",
    "»": "«",
    "‹": "›",
    "›": "‹",
}
_QUOTED = re.compile(
    "|".join(rf"(?<!\w){opener}(.{{1,400}}?)[{ends}](?!\w)" for opener, ends in _CLOSERS.items())
)
_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_BEFORE_COLON = re.compile(r"\A(?P<source>[^:]{2,40}):\s")
_BEHIND_COLON = re.compile(  # or behind a dash, as in "Wall shut - police" and "Wall shut -police"
    r".*(?::\s|\s(?:--?(?!\d)|[–—―]))\s*(?P<source>[^:]{2,40})\Z", re.DOTALL
)
_ACCUSING = re.compile(r"accused of|suspected of|allegations?|claims emerge", re.IGNORECASE)
"""Hedges behind which "by" tells who says so, and not who has done it."""
_BY = re.compile(r"\bby\s(?P<source>[^:,;]{2,40})\Z", re.IGNORECASE)
_NAME_PARTS = re.compile(r",|\b(?:of|for|at|in|on|from)\b[^,]*")
_MOST_WORDS = 3  # of a source that stands before or after a colon
_QUESTION = re.compile(rf"\?[?!]*{AFTER_STOP}\s*\Z")
_ADVICE = re.compile(
    r"\A\W*(?:do not|don['’]t|let['’]?s|no,|stop(?!\sand\s(?:search|frisk)))\s", re.IGNORECASE
)
"""How a headline begins that says what the outlet wants, or denies what others say."""
_PRONOUNS = frozenset(["he", "she", "they"])


def headline_attribution(
    headline: ScoredSegment,
    segment: ScoredSegment,
    speaker: Speaker,
    *,
    headline_attributed: bool,
) -> Attribution:
    """How a headline treats the attribution of an attributed body segment.

    `speaker` is the segment's (`speaker_of`). A headline that names its source keeps the
    attribution, unless all that it tells is that the source acts or decides; a plural class in
    place of a named source, a hedge with nobody behind it, or quotation marks around a part of the
    claim weaken it. A question claims nothing, and what a body decides ("the court ruled") comes
    true by being decided: neither needs a source.
    """
    source = speaker.source
    own = _own_source(headline, source, headline_attributed=headline_attributed)
    if own is not None:
        if _reports_a_decision(headline):
            return "none_needed"
        hidden = _is_plural(own) and _is_named(speaker)
        return "weakened" if hidden and not _shares_word(own, source) else "kept"
    hedge = _HEDGES.search(headline.text)
    if hedge is not None:
        return "kept" if _names_accuser(headline.text, hedge, source) else "weakened"
    said = " ".join(span.text for span in segment.spans if span.type == "content")
    share, repeated = _quoted(headline.text, said)
    if share >= QUOTED_SHARE:
        return "kept"
    if headline_attributed:
        return "kept" if _says_something(headline) else "none_needed"
    if _QUESTION.search(headline.text) or _ADVICE.search(headline.text):
        return "none_needed"
    if repeated:
        return "weakened"
    if _is_decision(segment, speaker):
        return "none_needed"
    return "dropped"


def is_hedge(text: str) -> bool:
    """Whether a word or phrase only says that somebody, who is not told, says so."""
    return _HEDGES.fullmatch(text.strip()) is not None


def _own_source(
    headline: ScoredSegment, source: Span | None, *, headline_attributed: bool
) -> str | None:
    """The headline's source: a span of the model, or what a colon sets apart as one.

    That ends in a word for one, or of the name of the segment's source: "Tarn council:", not
    "Tarn in crisis:". In a headline that the model sees as not attributed, that word has to be the
    last of a name: of "Harbour engineer Ines Okafor" it is "Okafor", while "Harbour:" is a topic.

    A span is one in an attributed headline that has something said in it: who "launches ads" says
    nothing. Whoever "allegedly" or "is said to" have done something is not who says so.
    """
    speaks = headline_attributed and _says_something(headline)
    for span in headline.spans:
        behind = headline.text[span.end - headline.start :].lstrip()
        if speaks and span.type == "source" and not _HEDGES.match(behind):
            return span.text
    for pattern in (_BEFORE_COLON, _BEHIND_COLON):
        match = pattern.search(headline.text)
        if match is None:
            continue
        words = _WORD.findall(match["source"])
        last = next((word for word in reversed(words) if word.casefold() not in _COLON_VERBS), "")
        names = _shares_word if headline_attributed else _ends_name
        if len(words) <= _MOST_WORDS and (last.casefold() in _AFTER_COLON or names(last, source)):
            return match["source"]
    return None


def _is_plural(source: str) -> bool:
    """Whether a source is a class of people ("officials", "aid workers") and so hides who speaks.

    "Police", "a minister" or "the union" do not: they are an institution or one person, whom
    a reader can look for in the body. A capital makes a name, but not of "Residents" alone.
    """
    words = _WORD.findall(source)
    if not words:
        return False
    last = words[-1]
    if last.casefold() in _DOCUMENTS or last.endswith(("ss", "'s", "’s")):
        return False
    known = _CLASSES if len(words) == 1 else _AFTER_COLON
    return last.casefold().endswith("s") and (last.islower() or last.casefold() in known)


def _shares_word(text: str, source: Span | None) -> bool:
    if source is None:
        return False
    return not _content_words(text).isdisjoint(_content_words(source.text))


def _ends_name(word: str, source: Span | None) -> bool:
    """Whether a word is the last of a source's name or of what the source is called beside it,
    prepositions left out: "engineer" or "Okafor" of "Harbour engineer Ines Okafor of Tarn".
    """
    if source is None:
        return False
    heads: set[str] = set()
    for part in _NAME_PARTS.split(source.text):
        words = [found for found in _WORD.findall(part) if not is_function_word(found)]
        heads |= {
            one.casefold()
            for one, following in pairwise([*words, ""])
            if not following or (one[:1].islower() and following[:1].isupper())
        }
    return word.casefold() in heads


def _names_accuser(headline: str, hedge: re.Match[str], source: Span | None) -> bool:
    """Whether a headline that hedges names the source at its end ("accused of ... by Okafor")."""
    behind = _BY.search(headline, hedge.end())
    if behind is None or _ACCUSING.search(hedge[0]) is None:
        return False
    words = _WORD.findall(behind["source"])
    return 0 < len(words) <= _MOST_WORDS and _ends_name(words[-1], source)


def _content_words(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text) if not is_function_word(word)}


def _is_named(speaker: Speaker) -> bool:
    """Whether a source is a name, or a pronoun for one.

    A capital makes a name, unless the start of a sentence explains it.
    """
    if speaker.source is None:
        return False
    words = _WORD.findall(speaker.source.text)
    if len(words) == 1 and words[0].casefold() in _PRONOUNS:
        return True
    if speaker.opens_sentence:
        words = words[1:]
    return any(word[:1].isupper() for word in words)


def _quoted(headline: str, said: str) -> tuple[float, bool]:
    """The share of a headline's words in quotation marks, and whether a source has said them."""
    theirs = _folded(said)
    inside, repeated = 0, False
    for match in _QUOTED.finditer(headline):
        inner = match[match.lastindex or 0]
        inside += len(_WORD.findall(inner))
        repeated = repeated or _folded(inner) in theirs
    return inside / max(len(_WORD.findall(headline)), 1), repeated


def _folded(text: str) -> str:
    return " " + " ".join(word.casefold() for word in _WORD.findall(text)) + " "


def _says_something(headline: ScoredSegment) -> bool:
    return any(span.type == "content" for span in headline.spans)


def _reports_a_decision(headline: ScoredSegment) -> bool:
    """Whether what a headline's source does is to decide ("Court orders ...")."""
    return any(
        span.type == "cue" and _DECISIONS.search(span.text) is not None for span in headline.spans
    )


def _is_decision(segment: ScoredSegment, speaker: Speaker) -> bool:
    outside = _outside_content(segment)
    convicts = any(
        outside[match.start()] != " " for match in _CONVICTION.finditer(segment.text)
    )  # what a source says of a conviction is none
    reporting = _behind_source(segment, speaker) if speaker.cue is None else speaker.cue.text
    return convicts or _DECISIONS.search(reporting) is not None


def _behind_source(segment: ScoredSegment, speaker: Speaker) -> str:
    """What stands between a segment's source and the content behind it."""
    if speaker.source is None:
        return ""
    start = max(speaker.source.end, segment.start)
    ends = (span.start for span in segment.spans if span.type == "content" and span.start >= start)
    return segment.text[start - segment.start : min(ends, default=segment.end) - segment.start]


def _outside_content(segment: ScoredSegment) -> str:
    """A segment's text without what is reported, in which "the ruling party" decides nothing."""
    text = list(segment.text)
    for span in segment.spans:
        if span.type == "content":
            first, last = span.start - segment.start, span.end - segment.start
            text[first:last] = " " * (last - first)
    return "".join(text)


@dataclass(frozen=True, slots=True)
class Speaker:
    """To whom a body segment attributes a claim, and in which words."""

    source: Span | None
    cue: Span | None
    opens_sentence: bool = False
    """Whether the source stands at the start of its sentence, where all have a capital."""


def speaker_of(
    segments: Sequence[ScoredSegment], place: int, carried_by: Callable[[Span], float]
) -> Speaker:
    """Who speaks in the body segment at `place`, in the content that carries most of the claim.

    A segment without content has the source nearest to its first cue.
    """
    relations = [relation for relation in relations_of(segments) if relation.segment == place]
    if relations:
        found = max(relations, key=lambda relation: carried_by(relation.content))
        if found.source is None or found.source_segment is None:
            return Speaker(None, found.cue)
        opens = found.source.start == segments[found.source_segment].start
        return Speaker(found.source, found.cue, opens)
    segment = segments[place]
    cue = next((span for span in segment.spans if span.type == "cue"), None)
    source = min(
        (span for span in segment.spans if span.type == "source"),
        key=lambda span: 0 if cue is None else _gap(span, cue),
        default=None,
    )
    return Speaker(source, cue, source is not None and source.start == segment.start)


def _gap(one: Span, other: Span) -> int:
    return max(one.start - other.end, other.start - one.end, 0)
