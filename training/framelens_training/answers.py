"""A run's answer on every test segment, kept so that runs can be compared afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from framelens.decoding import DecodingConfig, Floats
from framelens.schema import AXES
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.splits import group_of
from framelens_training.errors import TrainingError
from framelens_training.predictions import AxisData


class AnswersError(TrainingError):
    """A file of answers that cannot be used."""


@dataclass(frozen=True, slots=True)
class Answers:
    """One row for each supervised axis of each segment; all arrays have shape (n,).

    `document`, `article` and `axis` hold strings, of which `article` is the same for texts that
    are not independent; `segment` is the index within the document, `score` a calibrated
    probability, `threshold` the run's threshold on that axis.
    """

    document: NDArray[np.object_]
    article: NDArray[np.object_]
    segment: NDArray[np.int64]
    axis: NDArray[np.object_]
    gold: NDArray[np.bool_]
    score: NDArray[np.float64]
    threshold: NDArray[np.float64]

    @classmethod
    def collect(
        cls,
        documents: Sequence[LabelledDocument],
        scores: Sequence[Floats],
        decoding: DecodingConfig,
    ) -> Self:
        """The answers on all documents; `scores` holds an array (s, 3) a document."""
        rows: list[tuple[Any, ...]] = []
        for document, values in zip(documents, scores, strict=True):
            for index, segment in enumerate(document.segments):
                for column, axis in enumerate(AXES):
                    gold = segment.counted(axis)
                    if gold is not None and axis in document.annotated:
                        score = float(values[index, column])
                        threshold = decoding.thresholds[axis]
                        names = document.id, group_of(document)
                        rows.append((*names, index, axis, gold, score, threshold))
        columns = zip(*rows, strict=True) if rows else [()] * len(_DTYPES)
        return cls(*(np.array(c, dtype=t) for c, t in zip(columns, _DTYPES, strict=True)))

    def write(self, path: Path) -> None:
        """Write a Parquet file, making its folder."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({f.name: getattr(self, f.name) for f in fields(self)}), path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file that `write` wrote.

        Raises:
            AnswersError: if it is no such file.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        names = [f.name for f in fields(cls)]
        try:
            table = pq.read_table(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise AnswersError(f"{path}: expected a Parquet file, found {error}") from error
        missing = [name for name in names if name not in table.column_names]
        if missing:
            raise AnswersError(
                f"{path}: expected the columns {', '.join(names)}, found no "
                f"{', '.join(missing)}; give the predictions/test.parquet of a run of this version"
            )
        return cls(
            *(
                np.asarray(table[name].to_pylist(), dtype=dtype)
                for name, dtype in zip(names, _DTYPES, strict=True)
            )
        )

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each answer agrees with gold."""
        right: NDArray[np.bool_] = (self.score >= self.threshold) == self.gold
        return right

    def ordered(self) -> Self:
        """The same rows by document, segment and axis."""
        order = np.lexsort((self.axis.astype(str), self.segment, self.document.astype(str)))
        return type(self)(*(getattr(self, f.name)[order] for f in fields(self)))

    def axis_data(self, rows: NDArray[np.bool_], groups: NDArray[np.int64]) -> AxisData:
        """Chosen rows as metrics take them; `groups` (m,) numbers their articles."""
        return AxisData(self.gold[rows], self.score[rows], groups)


_DTYPES: tuple[Any, ...] = (
    np.object_, np.object_, np.int64, np.object_, np.bool_, np.float64, np.float64
)  # fmt: skip
