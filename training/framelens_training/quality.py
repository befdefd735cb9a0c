"""The figures that a shipped artifact is judged by, on documents that it never trained on.

Each measure is one corpus's question. References and targets stand in `quality_table`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from framelens_training.quality_bench import (
    BABE,
    CHECKTHAT,
    JUDGED,
    LINES,
    PAGES,
    POLNEAR,
    SEMEVAL,
    STARTER,
    TITLES,
    VOICE_PAIRS,
    WRITTEN_PAGES,
    Bench,
    Row,
)
from framelens_training.quality_calibration import calibration
from framelens_training.quality_changes import parties, typography
from framelens_training.quality_framing import articles, babe, checkthat, lines, titles
from framelens_training.quality_furniture import pages, written_pages
from framelens_training.quality_spans import polnear, starter
from framelens_training.quality_voices import semeval, voices


@dataclass(frozen=True, slots=True)
class Measured:
    """Rows, and the sha256 of the documents that they were measured on, by corpus and split."""

    rows: Sequence[Row]
    scored: Mapping[str, str]


def measure(bench: Bench, name: str) -> Measured:
    """The rows of one of `MEASURES`.

    Raises:
        HeldOutError: if it cannot be told what the artifact was trained on.
        CorpusError: with every problem of the corpus's files.
        FileNotFoundError: naming what is missing and how to get it.
    """
    bench.asked.clear()
    rows = MEASURES[name](bench)
    return Measured(rows, {part: bench.digests[part] for part in sorted(bench.asked)})


MEASURES: Mapping[str, Callable[[Bench], list[Row]]] = MappingProxyType({
    POLNEAR: polnear,
    BABE: babe,
    CHECKTHAT: checkthat,
    SEMEVAL: semeval,
    TITLES: titles,
    PAGES: pages,
    JUDGED: articles,
    "calibration": calibration,
    "typography": typography,
    "parties": parties,
    VOICE_PAIRS: voices,
    LINES: lines,
    WRITTEN_PAGES: written_pages,
    STARTER: starter,
})  # fmt: skip
"""Every measure by the corpus that it needs; `calibration` needs those of the training,
`typography` PolNeAR and SemEval, and `parties` these, BABE and the titles."""
PACKAGED = (STARTER, VOICE_PAIRS, LINES, WRITTEN_PAGES)
"""The measures that need no public corpus."""
