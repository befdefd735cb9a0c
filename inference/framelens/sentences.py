"""Where one sentence ends and the next begins, in the English of news articles.

A rule set in one pass. Each full stop, question or exclamation mark is a candidate; its
closing quotation marks and brackets belong to it; what stands right before and right after
decides. Nothing depends on whether quotation marks are balanced, so a mark that is never
closed cannot swallow the rest of an article, and every look back or ahead is bounded, so
that time grows with the length of the text whatever the text is. `benchmarks/segmentation.py`
measures it against the sentence boundaries of CoreNLP, beside libraries.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

MAX_SENTENCE = 2000
"""Length in code points over which a sentence is cut at a softer boundary."""

_LOOK_BACK = 24
"""Code points before a full stop in which its word is looked for: longer than any abbreviation."""

_CURLY_OPENERS = "“‘«‹„‚"
_OPENERS = _CURLY_OPENERS + "\"'’`([{¿¡"
_CLOSERS = (
    "\"'”’»›)\\]}"
    "*_"  # as Markdown sets them, or before a footnote
    "\u2600-\u27bf\ufe0f\u200d\U0001f000-\U0001faff"  # pictures, as posts set them
)
_SWAPPED_CLOSERS = "“‘«‹"  # „so“, ‚so‘, »so«, ›so‹
_SWAPPED_OPENERS = "”»›"
_QUOTE_CLOSERS = frozenset("\"'’”»›" + _SWAPPED_CLOSERS)
INVISIBLE = "\u00ad\u200b\u200e\u200f\u2060\ufeff"
"""Marks without width, which are of the word that they touch."""
_DASHES = "–—―-"
_FULL_WIDTH_STOPS = "。！？｡"
AFTER_STOP = rf"[{_CLOSERS}{_SWAPPED_CLOSERS}{INVISIBLE}]*(?:\[\d{{1,3}}\])*"
"""What may stand between the mark that ends a sentence and the end of a line, as a pattern."""
_STOPS = ".!?…؟۔।" + _FULL_WIDTH_STOPS

_CANDIDATE = re.compile(
    rf"[{_STOPS}][{_STOPS}{_CLOSERS}{INVISIBLE}]*"
    rf"(?:[{_SWAPPED_CLOSERS}](?=[ \n,;:)\]]|\Z)|(?:\[\d{{1,3}}\])+)?"
)
# A closing mark that a stray space separates from the sentence it closes.
_LATE_CLOSER = re.compile(r"\s{1,3}(?:[”»›)\]}]{1,8}(?![\w”»›)\]}])|\"(?=\s|\Z))")
_NOT_SPACE = re.compile(r"\S")
_NO_WORD = re.compile(r"[\W_]+")
_WORD_BEFORE = re.compile(r"[\w.&'’]+\Z")
_OPENING = re.compile(
    rf"[{re.escape(_OPENERS + _SWAPPED_OPENERS)}\s]{{0,6}}[{INVISIBLE}]{{0,3}}"
    r"(?:(?P<word>[^\W\d_][\w'’]{0,40})|(?P<other>\S))"
)
_ELLIPSIS_AND_WORD = re.compile(
    rf"(?:…|\.{{3}}|\.\s\.\s\.)\s{{0,3}}[{re.escape(_OPENERS)}]?[^\W\d_]"
)
_INSERTION_ENDS = re.compile(rf"[{_DASHES}]{{1,3}}\s{{0,3}}[a-z]")
_DOTTED = re.compile(r"(?:[^\W\d_]{1,2}\.&?)+[^\W\d_]{1,3}")


def _words(spaced: str) -> frozenset[str]:
    return frozenset(spaced.split())


# Never the last word of a sentence: the name or the thing that they introduce must follow.
_INTRODUCES = _words(
    "Mr Mrs Ms Mx Dr Drs Prof Profs Gov Govs Sen Sens Rep Reps Gen Gens Lt Col Sgt Sgts Capt Cmdr"
    " Cpl Pvt Pfc Maj Adm Brig Rev Revs Fr Hon Pres Supt Det Insp Messrs Mme Mlle Del Amb Atty Asst"
    " Msgr Msgrs Lieut Cdr Assoc Cllr Ald Ven vs v e.g i.e a.k.a cf viz approx ca"
)
# Belongs to the number that follows, if one does.
_COUNTS = _words(
    "No Nos no nos Vol vol Art art Sec sec Ch ch Fig Figs fig pp p Para para Sect Op op Rte Rt"
    " ft lb lbs Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec"
)
# May end a sentence, and does if the next word is one that opens sentences.
_AMBIGUOUS = _words(
    "Inc Corp Co Cos Ltd Bros Jr Sr Esq PLC Plc St Ave Blvd Rd Ct Mt Ft Dept dept Assn Univ al"
    " est ret Ret Sec Secs Jan Feb Aug Sept Oct Nov Dec Ala Ariz Ark Calif Colo Conn Fla Ga Ill"
    " Ind Kan Ky La Md Mass Mich Minn Miss Mo Mont Neb Nev Okla Ore Pa Tenn Tex Va Vt Wash Wis Wyo"
    " Alta Ont Penn Que Sask Mon Tue Tues Wed Thu Thurs Fri Sat"
)
_STARTERS = _words(
    "A About According After All Also Although Among An And Another Any Anyone As Asked At"
    " Because Before Both But By Can Could Did Do Does Don't During Each Earlier Even Every"
    " Everyone Few For From Had Has Have He He's Her Here His How However I I'm I've If In"
    " Indeed Instead Is It It's Its Just Last Later Like Many Maybe Meanwhile More Moreover Most"
    " My Neither Never Nevertheless No Nobody None Not Nothing Now Of On Once One Only Or Other"
    " Others Our Over People Perhaps Several She She's Should Since So Some Someone Still Such"
    " Than That That's The Their Then There There's These They They're This Those Though Through"
    " Thus To Today Two Under Until Was We We're We've Were What What's When Where Whether Which"
    " While Who Whose Why With Without Yes Yet You Your"
)
# After "a.m." or "p.m.": still the same sentence.
_AFTER_TIME = _words(
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May"
    " June July August September October November December Jan Feb Aug Sept Oct Nov Dec Eastern"
    " Central Mountain Pacific Greenwich GMT UTC BST CET ET EST EDT CT CST CDT MT MST MDT PT PST"
    " PDT"
)
# "British time", "Central European Summer Time", "E.T.", "E.S.T.".
_TIME_ZONE = re.compile(
    r"\s{1,3}(?:(?:[A-Z][\w’']{0,20}\s{1,3}){1,3}[Tt]ime\b|[A-Z]\.(?:[SD]\.)?T\b)"
)
# No sentence before a name: "At 7 p.m. Tolk left".
_TIME_ALONE = re.compile(
    r"\W{0,8}(?:(?:just|shortly|soon)\s)?(?:at|by|around|about|before|after|until|since|from)\s"
    r"(?:about\s|around\s)?\d[\d:.]{0,4}\s?[ap]\.?m",
    re.IGNORECASE,
)
_CUE_VERBS = _words(
    "said says asked asks added adds told tells wrote writes tweeted posted replied replies"
    " cried shouted yelled screamed exclaimed answered responded quipped joked wondered demanded"
    " insisted argued warned continued recalled explained declared noted remarked shot snapped"
    " muttered whispered laughed thundered roared mused concluded countered protested retorted"
    " pleaded begged called chanted"
)
# "Okafor asked", "Council leader Ann Lee later added", "J. R. Tolk, the harbour master, said".
_NAME_AND_CUE = re.compile(
    r"[^\W\d_a-zß-ÿ][\w'’-]{0,30}(?:\.[A-Z])?\.?(?:\s{1,3}[a-zß-ÿ][\w'’-]{0,30}){0,2}"
    r"(?:\s{1,3}[^\W\d_a-zß-ÿ][\w'’-]{0,30}(?:\.[A-Z])?\.?){0,5}(?:,\s[^.!?\n]{1,80},)?"
    r"(?:\s{1,3}(?:later|then|also|once|[a-z]{2,12}ly))?\s{1,3}"
    r"(?:" + "|".join(sorted(_CUE_VERBS)) + r")\b"
)

# From the most welcome place of a cut to the least.
_SOFT_BOUNDARIES = (
    re.compile(r"[\n\r\x85\u2028\u2029]"),
    re.compile(r"[;:—–…!?.\"'”’»)\]]\s"),
    re.compile(r",\s"),
    re.compile(r"\s"),
)


def split_sentences(paragraph: str) -> list[tuple[int, int]]:
    """Sentences of one paragraph as (start, end) offsets in code points, in order and disjoint.

    No sentence is empty or begins or ends with white space; together they cover every
    character that is not white space; none is longer than `MAX_SENTENCE`. A line break counts
    as a space.

    * A quotation of several sentences is split; its marks stay with the sentence they close.
    * A quotation is not split from the cue that follows it (`"Will it hold?" she asked.`),
      nor from its signature (`"It held." — Ines Okafor`). CoreNLP splits both.
    * Abbreviations, initials, decimals, addresses and ellipses inside a sentence do not end it.
    """
    sentences: list[tuple[int, int]] = []
    start = 0
    for end in _boundaries(paragraph):
        sentences.extend(_bounded(paragraph, start, end))
        start = end
    sentences.extend(_bounded(paragraph, start, len(paragraph)))
    return sentences


def _boundaries(text: str) -> Iterator[int]:
    """Ends of all sentences but the last."""
    start = 0
    for candidate in _CANDIDATE.finditer(text):
        late = _LATE_CLOSER.match(text, candidate.end())
        end = late.end() if late else candidate.end()
        if end < len(text) and _ends_sentence(text, start, candidate.start(), end):
            yield end
            start = end


def _ends_sentence(text: str, start: int, stop: int, end: int) -> bool:
    """Whether the marks in `text[stop:end]` end the sentence that began at `start`."""
    marks = text[stop:end]
    if marks[0] in _FULL_WIDTH_STOPS:
        return True
    quoted = not _QUOTE_CLOSERS.isdisjoint(marks)
    if not text[end].isspace():
        # A space is missing, unless this is the inside of a word, a number or an address.
        glued = text[end] in _CURLY_OPENERS or (marks[-1] in "”»" and text[end].isupper())
        if not glued:
            return False
    found = _NOT_SPACE.search(text, end)
    if found is None:
        return False
    at = found.start()
    if text[at] in _DASHES and (quoted or _INSERTION_ENDS.match(text, at)):
        return False  # a signature, or the end of an insertion
    opening = _OPENING.match(text, at)
    if opening is None:
        return True
    word, other = opening["word"], opening["other"]
    if word is None and not _may_open(other):
        return marks[0] in ".?!" and _ELLIPSIS_AND_WORD.match(text, at) is not None
    if word is not None and word[0].islower() and not word[1:2].isupper():  # "iPhone"
        return False
    trails_off = "…" in marks or ".." in marks
    may_have_cue = quoted and word is not None and (marks[0] in "!?" or trails_off)
    if may_have_cue and _cue_follows(text, at, word):
        return False
    if not {"!", "?", "؟"}.isdisjoint(marks):
        return True
    if trails_off:
        if not quoted and word is not None and _stammers(text, start, stop, word):
            return False
        # " ... Then" leaves something out of a sentence; "again... Then" trails off at its end.
        return quoted or (word is not None and stop > 0 and not text[stop - 1].isspace())
    if marks[0] != ".":
        return True
    return _full_stop_ends(text, start, stop, marks, word, other)


def _stammers(text: str, start: int, stop: int, word: str) -> bool:
    """Whether the word before an ellipsis is said once more after it: "I… I don't know"."""
    last = _WORD_BEFORE.search(text, max(start, stop - _LOOK_BACK), stop)
    again = word.replace("’", "'").partition("'")[0]  # "I… I'm here"
    return last is not None and last.group().lstrip("'’").casefold() == again.casefold()


def _full_stop_ends(
    text: str, start: int, stop: int, marks: str, word: str | None, other: str | None
) -> bool:
    """Whether a single full stop ends a sentence, by the word before it and what comes next.

    `word` is the next word, `other` the next character where no word comes next.
    """
    before = text[max(start, stop - _LOOK_BACK) : stop]
    found = _WORD_BEFORE.search(before)
    last = found.group().lstrip("'’.&") if found else ""
    if last.isupper() and len(last) > 1:
        last = last.capitalize() if "." not in last else last  # "ST. LOUIS"
    if not last:
        return not before.rstrip().endswith(".")  # ". . ." is an ellipsis
    if last in _INTRODUCES:
        return False
    if not _QUOTE_CLOSERS.isdisjoint(marks):
        return True
    if last in _COUNTS and other is not None and other.isdigit():
        return False
    if len(last) == 1 or (len(last) == 2 and last.isdigit()):
        lead = stop - len(last) - start
        if lead <= 8 and not text[start : start + lead].strip(_OPENERS + " \t\r\n"):
            return False  # an enumerator: "1. Open the valve."
    dotted = _DOTTED.fullmatch(last) is not None
    pronoun = last == "I" and (word is None or len(word) > 1)  # not "I. M. Pei"
    initial = len(last) == 1 and last.isalpha() and not pronoun
    if not (dotted or initial or last in _AMBIGUOUS):
        return True
    if ")" in marks:
        return marks.endswith(".")  # "(R-Wis.)" is inside a sentence, "(R-Wis.)." ends one
    if last.replace(".", "").lower() in ("am", "pm"):
        if word in _STARTERS:
            return True
        zone = _TIME_ZONE.match(text, stop + len(marks))
        return word not in _AFTER_TIME and not zone and not _TIME_ALONE.fullmatch(text, start, stop)
    return word is not None and word.replace("’", "'") in _STARTERS


def _may_open(character: str) -> bool:
    """Whether a sentence may begin with this character, which is no letter."""
    return (
        character.isalnum()
        or character in "@#•*·§_" + _DASHES
        or unicodedata.category(character)[0] == "S"
    )


def _cue_follows(text: str, at: int, word: str | None) -> bool:
    return word not in _STARTERS and _NAME_AND_CUE.match(text, at) is not None


def _bounded(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretch without outer white space, cut where it is longer than `MAX_SENTENCE`."""
    start, end = stripped(text, start, end)
    while end - start > MAX_SENTENCE:
        cut = _soft_boundary(text, start)
        yield stripped(text, start, cut)
        start, end = stripped(text, cut, end)
    if start < end:
        yield start, end


def _soft_boundary(text: str, start: int) -> int:
    """A place to cut in the second half of the `MAX_SENTENCE` code points from `start`."""
    middle, limit = start + MAX_SENTENCE // 2, start + MAX_SENTENCE
    for pattern in _SOFT_BOUNDARIES:
        ends = [found.end() for found in pattern.finditer(text, middle, limit)]
        if ends:
            return ends[-1]
    cut = limit
    while cut > middle and unicodedata.combining(text[cut]):
        cut -= 1  # an accent stays with its letter
    return cut if cut > middle else limit


def stripped(text: str, start: int, end: int) -> tuple[int, int]:
    """The stretch `text[start:end]` without white space at its ends; empty if it is all white."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def with_marks(text: str, end: int) -> int:
    """The end of a word with the combining marks behind it, which the tokenizer strips."""
    while end < len(text) and unicodedata.category(text[end]).startswith("M"):
        end += 1
    return end


def has_words(text: str) -> bool:
    """Whether a text holds a letter, a figure or a picture, and not only marks or white space."""
    return any(character.isalnum() or unicodedata.category(character) == "So" for character in text)


def words_alone(text: str) -> str:
    """A text's letters and digits without case, and a space wherever anything else stands."""
    return _NO_WORD.sub(" ", text.casefold()).strip()
