"""What a check found: where, what was expected, what stands there, and how to mend it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from framelens_training.corpora.labelled import CorpusError, LabelledDocument, Problem

Severity = Literal["error", "warning"]
"""An error makes data unusable or a result untrue; a warning is for a person to look at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault. `where` is `file:row`, rows counted from 1, or a place in a public corpus."""

    severity: Severity
    code: str
    where: str
    expected: str
    found: str
    mend: str

    def __str__(self) -> str:
        return (
            f"{self.where}: [{self.code}] expected {self.expected}, found {self.found}; {self.mend}"
        )

    def to_dict(self) -> dict[str, str]:
        """The finding as a row of JSON."""
        return {
            "severity": self.severity,
            "code": self.code,
            "where": self.where,
            "expected": self.expected,
            "found": self.found,
            "mend": self.mend,
        }

    def problem(self) -> Problem:
        """The finding as it is told by `CorpusError`."""
        what = f"expected {self.expected}, found {self.found}; {self.mend}"
        return Problem(self.where, what)


@dataclass(frozen=True, slots=True)
class Located:
    """A document and the place that it was read from, as `file:row`.

    `is_named` tells whether its id stands there too, or was made of the place.
    """

    document: LabelledDocument
    where: str
    is_named: bool = True


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a file holds: the documents that can be read, and every fault of the rest."""

    located: tuple[Located, ...]
    findings: tuple[Finding, ...] = ()

    def documents(self) -> list[LabelledDocument]:
        """The documents, if the file is without errors.

        Raises:
            CorpusError: with every error.
        """
        errors = [f.problem() for f in self.findings if f.severity == "error"]
        if errors:
            raise CorpusError(errors)
        return [item.document for item in self.located]


def error(code: str, where: str, expected: str, found: str, mend: str) -> Finding:
    """A fault that makes data unusable."""
    return Finding("error", code, where, expected, found, mend)


def warning(code: str, where: str, expected: str, found: str, mend: str) -> Finding:
    """Something that a person should look at."""
    return Finding("warning", code, where, expected, found, mend)


@dataclass(frozen=True, slots=True)
class _Rule:
    """How a problem of `labelled.parse_document` is told as a finding."""

    pattern: re.Pattern[str]
    code: str
    mend: str
    expected: str = ""


_PLACE = r"(?P<place>[a-z]+\[\d+\]: )?"


def _rule(pattern: str, code: str, mend: str, expected: str = "") -> _Rule:
    return _Rule(re.compile(_PLACE + pattern, re.DOTALL), code, mend, expected)


_RULES = (
    _rule(
        r"offsets (?P<found>\S+) are out of range; expected (?P<expected>.+)",
        "offsets",
        "count in code points, after reading the file as UTF-8 with its line ends kept",
    ),
    _rule(
        r"unknown (?:key|label) (?P<found>.+?); (?:expected|the axes are) (?P<expected>.+)",
        "unknown-key",
        "correct the key's spelling, or take it out",
    ),
    _rule(
        r"(?P<found>segments .+ overlap); expected (?P<expected>.+)",
        "overlapping-segments",
        "cut the segments so that each character is in one at most",
    ),
    _rule(
        r"(?P<found>.+ overlap); (?P<expected>a token .+)",
        "overlapping-spans",
        "shorten one of the spans, or take it out",
    ),
    _rule(
        r"(?P<found>segment .+ is boilerplate and attributed or framed); .+",
        "furniture-with-a-voice",
        "set boilerplate to false, or the other two",
        expected="page furniture to be neither attributed nor framed",
    ),
    _rule(
        r"(?P<found>.+ stands already in line .+)",
        "duplicate-id",
        "give each document an id of its own",
        expected="an id that no other document has",
    ),
    _rule(
        r"(?P<subject>.+?) (?P<expected>(?:is required and must|must) .+?), found (?P<found>.+)",
        "wrong-type",
        "correct the value",
    ),
    _rule(r"expected (?P<expected>.+?), found (?P<found>.+)", "wrong-type", "correct the value"),
    _rule(
        r"'annotated' holds (?P<found>.+?); expected (?P<expected>.+)",
        "unknown-key",
        "correct the name, or take it out",
    ),
)


def findings_of(problems: Iterable[Problem]) -> list[Finding]:
    """Problems of `labelled` as findings."""
    return [_finding_of(problem) for problem in problems]


def _finding_of(problem: Problem) -> Finding:
    for rule in _RULES:
        match = rule.pattern.fullmatch(problem.what)
        if match is None:
            continue
        groups = match.groupdict()
        place = (groups.get("place") or "").removesuffix(": ")
        subject = " ".join(filter(None, [place, groups.get("subject", "")]))
        expected = groups.get("expected") or rule.expected
        expected = expected.removeprefix("is required and ").removeprefix("must be ")
        found = groups["found"]
        return error(
            rule.code,
            problem.where,
            f"{subject} to be {expected}" if groups.get("subject") else expected,
            f"{found} in {place}" if place and not groups.get("subject") else found,
            rule.mend,
        )
    return error(
        "unreadable", problem.where, "data that can be read", problem.what, "correct the source"
    )
