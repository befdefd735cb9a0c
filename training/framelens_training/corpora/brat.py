"""Brat standoff annotation (`.ann`): typed spans over raw text, and the events that tie them.

Offsets are code points. A span may have several fragments (`12 20;25 30`), and the copy of
its words at the line's end may itself hold line breaks, so a record can run over lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_RECORD = re.compile(r"[TEARMN#*]\d*\t")
_SPAN = re.compile(r"(\S+) (\d+ \d+(?:;\d+ \d+)*)\Z")


@dataclass(frozen=True, slots=True)
class Entity:
    """A typed span: (start, end) of each fragment, and brat's copy of their words.

    Both are in the order in which the annotator marked the fragments, not always the text's.
    """

    id: str
    type: str
    fragments: tuple[tuple[int, int], ...]
    surface: str
    line: int

    def matches(self, raw: str) -> bool:
        """Whether the offsets find the words of `surface` in a text, spacing aside."""
        found = "".join(raw[start:end] for start, end in self.fragments)
        return "".join(found.split()) == "".join(self.surface.split())


@dataclass(frozen=True, slots=True)
class Event:
    """Entities that belong together: pairs of role and entity id, numbers of roles cut off."""

    id: str
    arguments: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Standoff:
    """The records of one `.ann` file that speak of spans; notes of annotators are left out."""

    entities: tuple[Entity, ...]
    events: tuple[Event, ...]


def parse_standoff(text: str, complain: Callable[[int, str], None]) -> Standoff:
    """Read a `.ann` file; `complain(line, what)` is called for each record that cannot be read."""
    entities: list[Entity] = []
    events: list[Event] = []
    for line, record in _records(text):
        kind, _, rest = record.partition("\t")
        if kind[0] == "T":
            head, tab, surface = rest.partition("\t")
            match = _SPAN.match(head)
            if match is None or not tab:
                complain(line, f"expected 'T1<tab>Type 12 20<tab>words', found {record[:60]!r}")
                continue
            offsets = [tuple(map(int, part.split())) for part in match[2].split(";")]
            fragments = tuple((start, end) for start, end in offsets)
            entities.append(Entity(kind, match[1], fragments, surface, line))
        elif kind[0] == "E":
            pairs = [part.partition(":") for part in rest.split()]
            if not pairs or any(not colon for _, colon, _ in pairs):
                complain(line, f"expected 'E1<tab>Role:T1 Role:T2', found {record[:60]!r}")
                continue
            arguments = tuple((role.rstrip("0123456789"), target) for role, _, target in pairs)
            events.append(Event(kind, arguments))
    return Standoff(tuple(entities), tuple(events))


def _records(text: str) -> list[tuple[int, str]]:
    records: list[tuple[int, str]] = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if _RECORD.match(line) or not records:
            if line.strip():
                records.append((number, line))
        else:
            first, begun = records[-1]
            records[-1] = (first, f"{begun}\n{line}")
    return [(number, record.rstrip("\n")) for number, record in records]
