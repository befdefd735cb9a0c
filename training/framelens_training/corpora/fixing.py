"""A cleaned copy of labelled documents, and a list of what was dropped or altered, and why.

Only what has one right answer is mended: characters that do not belong, white space at edges,
marks that nothing can reach, repeated texts and ids, and texts that stand in two splits (they
stay where they are evaluated, and go where they would be trained on). What would need a
person is dropped.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

from framelens.features import Featurizer
from framelens.limits import MAX_CHARACTERS
from framelens.schema import AXES, Field
from framelens_training.corpora.base import Split
from framelens_training.corpora.checks import check_document
from framelens_training.corpora.comparisons import (
    KEYS,
    Entry,
    answered,
    asked_alike,
    differ,
    entries_of,
    is_leak,
    is_lone,
    likenesses,
    question,
    repeats,
    same_article_again,
)
from framelens_training.corpora.findings import Finding, Located
from framelens_training.corpora.formats.base import FormatError
from framelens_training.corpora.formats.registry import detect, write_any
from framelens_training.corpora.inputs import Part
from framelens_training.corpora.labelled import FIELDS, GoldSegment, GoldSpan, LabelledDocument
from framelens_training.corpora.reach import examine
from framelens_training.corpora.reading import marked_wording

FIXES_FILE = "fixes.jsonl"
_BLANK = re.compile("[\\s\ufeff\x00-\x1f\x7f-\x9f]+")
Mark = TypeVar("Mark", GoldSegment, GoldSpan)

_RANK: dict[Split, int] = {"train": 0, "validation": 1, "test": 2}


@dataclass(frozen=True, slots=True)
class Fix:
    """One thing that was done: to which document, what, and why."""

    where: str
    id: str
    action: Literal["dropped", "altered"]
    code: str
    why: str

    def to_dict(self) -> dict[str, str]:
        """The fix as a row of JSON."""
        return {
            "where": self.where,
            "id": self.id,
            "action": self.action,
            "code": self.code,
            "why": self.why,
        }


def fix(parts: Sequence[Part], featurizer: Featurizer) -> tuple[list[Part], list[Fix]]:
    """Parts without errors, and everything that was done to get there."""
    fixes = [
        _fix_of_reading(finding)
        for part in parts
        for finding in part.findings
        if finding.code != "duplicate-id"
    ]
    cleaned: list[Part] = []
    for part in parts:
        located: list[Located] = []
        for item in part.located:
            mended, faults = mend(item.document, featurizer)
            if not mended.id.strip():
                mended = replace(mended, id=Path(item.where).name)
                faults.append(("empty-id", "named by its file and row"))
            remaining = [
                f
                for f in check_document(Located(mended, item.where), featurizer)[0]
                if f.severity == "error"
            ]
            if remaining:
                why = "; ".join(f"expected {f.expected}, found {f.found}" for f in remaining)
                fixes.append(Fix(item.where, mended.id, "dropped", remaining[0].code, why))
            else:
                fixes += [Fix(item.where, mended.id, "altered", code, why) for code, why in faults]
                located.append(replace(item, document=mended))
        cleaned.append(replace(part, located=tuple(located), findings=()))
    return _distinct(cleaned, fixes), fixes


def _fix_of_reading(finding: Finding) -> Fix:
    """What was not read of a file, or was read otherwise than it stands there."""
    is_dropped = finding.severity == "error" or finding.code == "not-annotated"
    action: Literal["dropped", "altered"] = "dropped" if is_dropped else "altered"
    why = f"expected {finding.expected}, found {finding.found}"
    return Fix(finding.where, "", action, finding.code, why)


def mend(
    document: LabelledDocument, featurizer: Featurizer
) -> tuple[LabelledDocument, list[tuple[str, str]]]:
    """A document with what can be mended in it, and a code and a reason for each change."""
    faults: list[tuple[str, str]] = []
    if len(document.text) > MAX_CHARACTERS:
        return document, faults  # dropped in any case, and slow to go through
    lone = is_lone(document) and document.segments[0]
    whole = lone and (lone.start, lone.end) == (0, len(document.field_text(lone.field)))
    texts: dict[Field, str] = {}
    places: dict[Field, list[int]] = {}
    for name in FIELDS:
        strip = bool(lone and whole and lone.field == name)
        texts[name], places[name] = _clean(document.field_text(name), strip)
        if texts[name] != document.field_text(name):
            faults.append(("characters", f"characters of {name!r} taken out or replaced"))
    segments = [_moved(segment, texts, places, faults) for segment in document.segments]
    spans = [_moved(span, texts, places, faults) for span in document.spans]
    mended = replace(
        document,
        text=texts["text"],
        headline=None if document.headline is None else texts["headline"],
        segments=tuple(segment for segment in segments if segment is not None),
        spans=tuple(span for span in spans if span is not None),
    )
    lost = [
        u for u in examine(mended, featurizer).unreachable if u.reason in ("outside", "no word")
    ]
    if lost:
        gone = {u.span for u in lost}
        mended = replace(mended, spans=tuple(s for s in mended.spans if s not in gone))
        faults += [
            ("unreachable-span", f"{u.span.type} {u.span.field}[{u.span.start}:{u.span.end}] taken "
             f"out: {u.reason}")
            for u in lost
        ]  # fmt: skip
    return mended, faults


def _clean(text: str, strip: bool) -> tuple[str, list[int]]:
    """A text without what does not belong, and for each old offset the new one."""
    kept: list[str] = []
    places: list[int] = []
    first = _before_words(text) if strip else 0
    last = len(text) - _before_words(text[::-1]) if strip else len(text)
    for at, character in enumerate(text):
        places.append(len(kept))
        if not first <= at < last or character == "\ufeff":
            continue
        if character == "\r":
            if not text.startswith("\n", at + 1):
                kept.append("\n")
        elif "\ud800" <= character <= "\udfff":
            kept.append("\N{REPLACEMENT CHARACTER}")
        elif character not in "\t\n\x85" and (character < " " or "\x7f" <= character <= "\x9f"):
            kept.append(" ")
        else:
            kept.append(character)
    return "".join(kept), [*places, len(kept)]


def _before_words(text: str) -> int:
    """How many characters at a text's beginning are taken out, or become white space."""
    found = _BLANK.match(text)
    return found.end() if found else 0


def _moved(
    item: Mark,
    texts: dict[Field, str],
    places: dict[Field, list[int]],
    faults: list[tuple[str, str]],
) -> Mark | None:
    """A segment or span at its new offsets, trimmed; `None` if no word is left."""
    start, end = places[item.field][item.start], places[item.field][item.end]
    words = texts[item.field][start:end]
    first = start + len(words) - len(words.lstrip())
    last = end - (len(words) - len(words.rstrip()))
    kind = "segment" if isinstance(item, GoldSegment) else item.type
    if first >= last:
        faults.append(("empty", f"{kind} {item.field}[{item.start}:{item.end}] taken out: no word"))
        return None
    if (first, last) != (start, end):
        faults.append(("space-at-edges", f"{kind} {item.field}[{item.start}:{item.end}] trimmed"))
    return replace(item, start=first, end=last)


def _distinct(parts: Sequence[Part], fixes: list[Fix]) -> list[Part]:
    """Parts without repetition, contradiction and leaks, and with distinct ids."""
    while True:
        entries = entries_of(parts)
        drops = _drops(entries)
        fixes += [
            Fix(e.item.where, e.document.id, "dropped", *drops[id(e.item)])
            for e in entries
            if id(e.item) in drops
        ]
        parts = [
            replace(part, located=tuple(i for i in part.located if id(i) not in drops))
            for part in parts
        ]
        # What was dropped may have been the first of several copies.
        if not drops:
            return _renamed(parts, fixes)


def _drops(entries: Sequence[Entry]) -> dict[int, tuple[str, str]]:
    """Code and reason for each document that has to go, by the identity of its place."""
    drops: dict[int, tuple[str, str]] = {}
    for entry in _contradicting(entries):
        drops[id(entry.item)] = ("contradicting-labels", "the same text has the opposite label")
    for kind, key in KEYS.items():
        for group in _grouped(entries, lambda e, key=key: key(e.document)):  # type: ignore[misc]
            best = max(_rank(entry) for entry in group)
            for entry in group:
                if _rank(entry) < best:
                    why = f"its {kind} is in a split that is evaluated"
                    drops.setdefault(id(entry.item), (f"{kind}-in-two-splits", why))
    for pair in likenesses([entry for entry in entries if id(entry.item) not in drops]):
        # What says more is kept, and of equals the first.
        left, right = sorted((pair.left, pair.right), key=_worth, reverse=True)
        if _rank(left) != _rank(right):
            if not is_leak(left, right):
                continue
            code = "text-in-two-splits" if pair.similarity == 1.0 else "near-duplicate"
        elif (
            pair.similarity == 1.0
            and left.part.corpus == right.part.corpus
            and asked_alike(left.document, right.document)
            and repeats(left.document, right.document)
            and not differ(left.document, right.document)  # marks alone may decide an answer
        ):
            code = "duplicate-text"
        else:
            continue
        if id(left.item) not in drops:
            drops.setdefault(id(right.item), (code, f"as {left.item.where} of {left.part.name}"))
    return drops


def _rank(entry: Entry) -> int:
    return _RANK.get(entry.part.split, 0)


def _worth(entry: Entry) -> tuple[int, int]:
    return _rank(entry), len(answered(entry.document))


def _grouped(entries: Iterable[Entry], key: Callable[[Entry], object]) -> Iterable[list[Entry]]:
    groups: dict[tuple[str, object], list[Entry]] = defaultdict(list)
    for entry in entries:
        value = key(entry)
        if value:
            groups[entry.part.corpus, value].append(entry)
    return groups.values()


def _contradicting(entries: Sequence[Entry]) -> Iterable[Entry]:
    found: list[Entry] = []

    def words(entry: Entry) -> object:
        segment = entry.document.segments[0]
        text = marked_wording(entry.document.segment_text(segment))
        return (question(entry.document, segment), text) if text else None

    for group in _grouped([entry for entry in entries if is_lone(entry.document)], words):
        for axis in AXES:
            answers: dict[bool | None, list[Entry]] = {True: [], False: [], None: []}
            for entry in group:
                is_asked = axis in entry.document.annotated
                answer = entry.document.segments[0].counted(axis) if is_asked else None
                answers[answer].append(entry)
            pairs = itertools.product(answers[True], answers[False])
            if any(not same_article_again(left, right) for left, right in pairs):
                found += group
                break
    return found


def _renamed(parts: Sequence[Part], fixes: list[Fix]) -> list[Part]:
    taken: Counter[tuple[str, str]] = Counter()
    renamed: list[Part] = []
    for part in parts:
        located: list[Located] = []
        for item in part.located:
            document = item.document
            name = document.id
            for number in itertools.count(2):
                if not taken[part.corpus, name]:
                    break
                name = f"{document.id}~{number}"
            taken[part.corpus, name] += 1
            if name != document.id:
                why = f"renamed from {document.id!r}, which another document has"
                fixes.append(Fix(item.where, name, "altered", "duplicate-id", why))
            located.append(replace(item, document=replace(document, id=name)))
        renamed.append(replace(part, located=tuple(located)))
    return renamed


def write_fixed(parts: Sequence[Part], fixes: Sequence[Fix], folder: Path) -> list[Path]:
    """Write each part under its own name, in its own format, and the list of fixes.

    Where the format cannot carry what is left of a document, the part is written as JSONL.

    Raises:
        FormatError: if the folder holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FormatError(f"{folder}: expected an empty or a new folder, found files in it")
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for part in parts:
        documents = [item.document for item in part.located]
        if part.path is None:
            target, name = folder / part.corpus / f"{part.split}.jsonl", "jsonl"
        else:
            target, name = folder / part.path.name, detect(part.path).name
        apart = folder / f"{part.split}-{len(written)}"
        if target in written:
            target = apart / target.name
        try:
            write_any(documents, target, name)
        except FormatError:
            target = target.with_name(target.name.partition(".")[0] + ".jsonl")
            if target in written:
                target = apart / target.name
            write_any(documents, target, "jsonl")
        written.append(target)
    lines = [json.dumps(item.to_dict(), ensure_ascii=False) + "\n" for item in fixes]
    path = folder / FIXES_FILE
    path.write_text("".join(lines), encoding="utf-8", errors="backslashreplace", newline="\n")
    return [*written, path]
