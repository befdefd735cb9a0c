"""What can be wrong between documents: repetition, contradiction, and leaks between splits."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from framelens.schema import AXES, Axis, Field
from framelens_training.corpora.findings import Finding, Located, error, warning
from framelens_training.corpora.inputs import Part
from framelens_training.corpora.labelled import Annotated, GoldSegment, LabelledDocument
from framelens_training.corpora.near_duplicates import near_duplicates
from framelens_training.corpora.reading import marked_wording, wording
from framelens_training.corpora.splits import group_of

MIN_WORDS = 6
"""Fewest words of a text that is looked at for near-duplicates: shorter ones repeat by nature."""
FEW = 10
"""Fewer examples of an answer than this, in one split, say little."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A document of a part."""

    part: Part
    item: Located

    @property
    def document(self) -> LabelledDocument:
        """The document itself."""
        return self.item.document


def entries_of(parts: Sequence[Part]) -> list[Entry]:
    """All documents, in order."""
    return [Entry(part, item) for part in parts for item in part.located]


def whole_wording(document: LabelledDocument) -> str:
    """The wording of headline and text together."""
    return wording(f"{document.headline or ''}\n{document.text}")


def repeats_by_nature(document: LabelledDocument) -> bool:
    """Whether a text may stand in several articles: nothing but page furniture, no word at all, or
    a few words of an article (`group`).
    """
    words = len(whole_wording(document).split())
    if not words or (words < MIN_WORDS and "group" in document.meta):
        return True
    is_furniture = "boilerplate" in document.annotated and bool(document.segments)
    return is_furniture and all(segment.counted("boilerplate") for segment in document.segments)


def is_leak(left: Entry, right: Entry) -> bool:
    """Whether two documents alike in text must not both be used, as their splits are two."""
    return left.part.split != right.part.split and not (
        repeats_by_nature(left.document) or repeats_by_nature(right.document)
    )


def is_lone(document: LabelledDocument) -> bool:
    """Whether a document is one labelled text without context."""
    return len(document.segments) == 1


def asked_alike(left: LabelledDocument, right: LabelledDocument) -> bool:
    """Whether two lone texts have answers to one question; of articles, always.

    The words of a headline and of a sentence are not judged alike, nor are those that were judged
    as the annotators of two corpora would (`as` in `meta`).
    """
    if not (is_lone(left) and is_lone(right)):
        return True
    return question(left, left.segments[0]) == question(right, right.segments[0])


def question(document: LabelledDocument, segment: GoldSegment) -> tuple[Field, str]:
    """What a segment's answers are answers to: the field that it is in, and as whose annotators."""
    return segment.field, document.meta.get("as", "")


def repeats(left: LabelledDocument, right: LabelledDocument) -> bool:
    """Whether one of two documents of the same text has answers to nothing that the other lacks."""
    one, other = answered(left), answered(right)
    return one <= other or other <= one


def answered(document: LabelledDocument) -> frozenset[Annotated]:
    """What a document says something about: axes with an answer, and kinds of spans."""
    axes = {axis for axis in AXES if any(s.counted(axis) is not None for s in document.segments)}
    return frozenset(name for name in document.annotated if name not in AXES or name in axes)


def same_article_again(left: Entry, right: Entry) -> bool:
    """Whether two documents are one article as two annotators saw it."""
    a, b = left.document.meta, right.document.meta
    return (
        left.part.corpus == right.part.corpus
        and "annotator" in a
        and a.get("annotator") != b.get("annotator")
        and group_of(left.document) == group_of(right.document)
    )


@dataclass(frozen=True, slots=True)
class Likeness:
    """Two documents with the same or nearly the same text."""

    left: Entry
    right: Entry
    similarity: float


def likenesses(entries: Sequence[Entry]) -> list[Likeness]:
    """Documents alike in text, except for one article as several annotators saw it.

    Of documents with the same wording, each is paired with the first of every part that answers
    the same, and only the first ones are paired with documents that are nearly the same: so n
    copies make about n pairs and not n squared.
    """
    by_wording: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        key = whole_wording(entry.document)
        if key:
            by_wording[key].append(entry)
    found: list[Likeness] = []
    heads: dict[str, list[Entry]] = {}
    for key, copies in by_wording.items():
        firsts = heads.setdefault(key, [])
        for entry in copies:
            partners = [first for first in firsts if not same_article_again(first, entry)]
            found += [Likeness(first, entry, 1.0) for first in partners]
            if not any(_stands_for(first, entry) for first in firsts):
                firsts.append(entry)
    long = [key for key in by_wording if key.count(" ") + 1 >= MIN_WORDS]
    for pair in near_duplicates(long):
        found += [
            Likeness(left, right, pair.similarity)
            for left, right in itertools.product(heads[long[pair.first]], heads[long[pair.second]])
            if not same_article_again(left, right)
        ]
    return found


def _stands_for(first: Entry, entry: Entry) -> bool:
    """Whether what is alike another document need be told of the first of two copies alone."""
    one, other = first.document, entry.document
    return first.part is entry.part and asked_alike(one, other) and repeats(one, other)


def compare(parts: Sequence[Part]) -> list[Finding]:
    """Every fault between documents."""
    entries = entries_of(parts)
    alike = likenesses(entries)
    return [
        *_repeated_ids(entries),
        *_shared_keys(entries),
        *_likeness_findings(alike),
        *_contradictions(entries),
        *_segments_elsewhere(entries),
        *_balance(parts),
    ]


def _repeated_ids(entries: Sequence[Entry]) -> Iterator[Finding]:
    """Ids that several documents were given; those made of file names are told apart in a run."""
    first: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        if not entry.item.is_named:
            continue
        key = (entry.part.corpus, entry.document.id)
        other = first.setdefault(key, entry)
        if other.part is not entry.part:  # within one file, its format has told
            yield error("duplicate-id", entry.item.where, "an id that no other document has",
                        f"{entry.document.id!r}, which stands in {other.item.where} as well",
                        "give each document an id of its own")  # fmt: skip


Key = Callable[[LabelledDocument], str | None]
KEYS: Mapping[str, Key] = {
    "group": lambda document: document.meta.get("group"),
    "link": lambda document: document.url,
}
"""What must not stand in two splits of a corpus."""


def _shared_keys(entries: Sequence[Entry]) -> Iterator[Finding]:
    for kind, key in KEYS.items():
        first: dict[tuple[str, str], Entry] = {}
        told: set[tuple[str, str, str]] = set()
        for entry in entries:
            value = key(entry.document)
            if not value:
                continue
            other = first.setdefault((entry.part.corpus, value), entry)
            place = (entry.part.corpus, value, entry.part.split)
            if other.part.split != entry.part.split and place not in told:
                told.add(place)
                yield error(f"{kind}-in-two-splits", entry.item.where,
                            f"each {kind} in one split",
                            f"{value!r} in {entry.part.split} and, at {other.item.where}, in "
                            f"{other.part.split}",
                            "split by article or link, or use --fix")  # fmt: skip


def _likeness_findings(alike: Sequence[Likeness]) -> Iterator[Finding]:
    for item in alike:
        left, right = item.left, item.right
        same = item.similarity == 1.0
        what = "the same words" if same else f"{item.similarity:.0%} of the same shingles"
        found = f"{what} as {left.item.where}"
        if left.part.corpus != right.part.corpus:
            yield warning("text-in-two-corpora", right.item.where, "each text in one corpus",
                          f"{found} of {left.part.name}", "use one of the two")  # fmt: skip
        elif left.part.split != right.part.split:
            if is_leak(left, right):
                tell = error if same else warning
                yield tell("text-in-two-splits" if same else "near-duplicate-across-splits",
                           right.item.where, "each text in one split",
                           f"{found} of {left.part.name}",
                           "take it out of the training data, or use --fix")  # fmt: skip
        elif (
            asked_alike(left.document, right.document)
            and repeats(left.document, right.document)
            and not (same and differ(left.document, right.document))
            and not _is_contrast(left.document, right.document)
        ):  # of what marks alone tell apart, the contradictions speak
            yield warning("duplicate-text" if same else "near-duplicate", right.item.where,
                          "each text once", found, "take one of the two out")  # fmt: skip


def _is_contrast(left: LabelledDocument, right: LabelledDocument) -> bool:
    """Whether two lone texts are a minimal pair, made on purpose: of one group."""
    return group_of(left) == group_of(right) and differ(left, right)


def differ(left: LabelledDocument, right: LabelledDocument) -> bool:
    """Whether two lone texts differ in an answer, and in words or marks (`marked_wording`)."""
    if not (is_lone(left) and is_lone(right)):
        return False
    one, other = left.segments[0], right.segments[0]
    if marked_wording(left.segment_text(one)) == marked_wording(right.segment_text(other)):
        return False
    return any(
        axis in left.annotated & right.annotated
        and {one.counted(axis), other.counted(axis)} == {True, False}
        for axis in AXES
    )


def _contradictions(entries: Sequence[Entry]) -> Iterator[Finding]:
    """Identical texts with contradicting answers: an error where no context can explain it.

    Only answers to one question (`question`) can contradict each other.
    Quotation marks, question and exclamation marks can: of lone texts that differ in them alone, a
    person should look at those that are no minimal pair.
    """
    first: dict[tuple[object, str, Axis, bool], list[Entry]] = defaultdict(list)
    same: dict[tuple[object, str, Axis, bool], list[Entry]] = defaultdict(list)
    in_context: dict[tuple[str, bool], list[tuple[str, str]]] = defaultdict(list)
    for entry in entries:
        document = entry.document
        for segment in document.segments:
            text = wording(document.segment_text(segment))
            marked = marked_wording(document.segment_text(segment))
            for axis in AXES:
                answer = segment.counted(axis)
                if answer is None or axis not in document.annotated or not text:
                    continue
                asked = entry.part.corpus, question(document, segment)
                _remember(entry, first[asked, text, axis, answer])
                _remember(entry, same[asked, marked, axis, answer])
                alike = _other_than(entry, same[asked, marked, axis, not answer])
                other = alike or _other_than(entry, first[asked, text, axis, not answer])
                if other is None or other is entry:
                    continue
                again = same_article_again(other, entry)
                if is_lone(document) and is_lone(other.document) and not again:
                    found = f"{answer}, and {not answer} at {other.item.where}"
                    if alike is not None:
                        yield error("contradicting-labels", entry.item.where,
                                    f"one answer on {axis!r} for the same text", found,
                                    "decide for one of them, or take both out")  # fmt: skip
                    elif not _is_contrast(document, other.document):
                        yield warning("marks-decide", entry.item.where,
                                      f"one answer on {axis!r} for the same words", found,
                                      "make sure that quotation, question or exclamation marks "
                                      "decide it")  # fmt: skip
                else:
                    in_context[entry.part.name, again].append(
                        (entry.item.where, f"{axis} of {text[:50]!r}")
                    )
    for (name, again), places in in_context.items():
        where, example = places[0]
        if again:
            yield warning("annotators-disagree", where, "annotators who agree",
                          f"{len(places)} segments of {name} that two annotators answered "
                          f"differently, such as {example}",
                          "each annotator's file stays a document of its own")  # fmt: skip
        else:
            yield warning("contradicting-segments", where,
                          "one answer for the same words, where context does not change it",
                          f"{len(places)} segments of {name} answered otherwise elsewhere in the "
                          f"corpus, such as {example}",
                          "look at some of them")  # fmt: skip


def _remember(entry: Entry, known: list[Entry]) -> None:
    """Keep the first entry, and the first of another article: it is enough to find one by."""
    if not known or (len(known) == 1 and group_of(known[0].document) != group_of(entry.document)):
        known.append(entry)


def _other_than(entry: Entry, known: Sequence[Entry]) -> Entry | None:
    """Of what was kept, another article if there is one."""
    first = known[0] if known else None
    return next((other for other in known if not same_article_again(other, entry)), first)


def _segments_elsewhere(entries: Sequence[Entry]) -> Iterator[Finding]:
    """Sentences of one part that stand, nearly word for word, in articles of another."""
    places: dict[str, dict[str, str]] = defaultdict(dict)
    lone: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        for segment in entry.document.segments:
            text = wording(entry.document.segment_text(segment))
            if text.count(" ") + 1 >= MIN_WORDS:
                places[text].setdefault(entry.part.name, entry.item.where)
                if is_lone(entry.document):
                    lone[text].add(entry.part.name)
    texts = list(places)
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}

    def count(left: str, right: str) -> None:
        met: set[tuple[str, str]] = set()
        for a, b in itertools.product(places[left], places[right]):
            both_lone = a in lone[left] and b in lone[right]  # told with the documents
            if a != b and not both_lone:
                met.add((min(a, b), max(a, b)))
        for pair in met:
            counts[pair] += 1
            examples.setdefault(pair, places[left].get(pair[0]) or places[right][pair[0]])

    for text in texts:
        if len(places[text]) > 1:
            count(text, text)
    for pair in near_duplicates(texts):
        count(texts[pair.first], texts[pair.second])
    for (left, right), number in sorted(counts.items()):
        yield warning("segments-in-two-parts", examples[left, right],
                      "each sentence in one part",
                      f"{number} segments of {left} that stand in {right} as well",
                      "a figure on one is not independent of training on the other")  # fmt: skip


def _balance(parts: Sequence[Part]) -> Iterator[Finding]:
    splits: dict[str, list[LabelledDocument]] = defaultdict(list)
    for part in parts:  # a split may be in several files
        splits[part.name] += [item.document for item in part.located]
    for name, documents in splits.items():
        annotated = {axis for document in documents for axis in document.annotated}
        for axis in AXES:
            if axis not in annotated:
                continue
            answers = Counter(
                segment.counted(axis)
                for document in documents
                if axis in document.annotated
                for segment in document.segments
            )
            for value in (True, False):
                if answers[value] < FEW:
                    yield warning("class-balance", name,
                                  f"at least {FEW} segments with {axis} {str(value).lower()}",
                                  f"{answers[value]} of {answers[True] + answers[False]}",
                                  "label more, or do not report on this axis")  # fmt: skip
