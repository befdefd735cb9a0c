"""All findings of a check in one report: errors and warnings apart, and an exit code for both."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from framelens.features import Featurizer
from framelens_training.corpora.checks import check_documents
from framelens_training.corpora.comparisons import compare
from framelens_training.corpora.findings import Finding, Severity, warning
from framelens_training.corpora.inputs import Part

EXIT_CLEAN = 0
EXIT_ERRORS = 1
EXIT_WARNINGS = 3
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found.

    `notes` counts, by corpus and reason, what its reader left out, altered or masked.
    """

    findings: tuple[Finding, ...]
    notes: Mapping[str, Mapping[str, int]]
    documents: int
    segments: int

    def of(self, severity: Severity) -> list[Finding]:
        """The findings of a severity."""
        return [finding for finding in self.findings if finding.severity == severity]

    @property
    def exit_code(self) -> int:
        """1 with errors, 3 with warnings alone, 0 with neither."""
        if self.of("error"):
            return EXIT_ERRORS
        return EXIT_WARNINGS if self.findings else EXIT_CLEAN

    def to_json(self) -> str:
        """The report for scripts."""
        content = {
            "documents": self.documents,
            "segments": self.segments,
            "errors": [finding.to_dict() for finding in self.of("error")],
            "warnings": [finding.to_dict() for finding in self.of("warning")],
            "left_out": self.notes,
        }
        return json.dumps(content, ensure_ascii=False, indent=1)

    def to_text(self, everything: bool = False) -> str:
        """The report for people: of each kind of finding the first few, or everything."""
        return "\n".join(self._lines(everything)) + "\n"

    def _lines(self, everything: bool) -> Iterator[str]:
        for severity, title in (("error", "errors"), ("warning", "warnings")):
            found = self.of(severity)  # type: ignore[arg-type]
            if not found:
                continue
            yield f"{len(found)} {title if len(found) > 1 else severity}"
            by_code: dict[str, list[Finding]] = defaultdict(list)
            for finding in found:
                by_code[finding.code].append(finding)
            for code, items in sorted(by_code.items()):
                shown = items if everything else items[:_SHOWN]
                yield from (f"  {finding}" for finding in shown)
                if len(shown) < len(items):
                    more = f"{len(items) - len(shown)} more [{code}]"
                    yield f"  ... and {more}; corpora check --all shows them"
            yield ""
        if any(self.notes.values()):
            yield "left out, altered or masked by the readers, with the reason"
            for name, counts in self.notes.items():
                yield from (f"  {name}: {count} {reason}" for reason, count in counts.items())
            yield ""
        yield (
            f"{self.documents} documents, {self.segments} segments: "
            f"{len(self.of('error'))} errors, {len(self.of('warning'))} warnings"
        )


def check(parts: Sequence[Part], featurizer: Featurizer) -> Report:
    """Every check, within documents and between them."""
    findings = [finding for part in parts for finding in part.findings]
    for part in parts:
        if not part.located and not any(f.severity == "error" for f in part.findings):
            findings.append(
                warning("no-documents", str(part.path or part.name), "labelled documents", "none",
                        "add some, or leave it out")
            )  # fmt: skip
        findings += check_documents(part.located, featurizer)[0]
    findings += compare(parts)
    return Report(
        tuple(findings),
        {part.corpus: part.notes for part in parts if part.notes},
        sum(len(part.located) for part in parts),
        sum(len(item.document.segments) for part in parts for item in part.located),
    )
