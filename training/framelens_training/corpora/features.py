"""Labelled documents as rows of a Hugging Face dataset with declared features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from framelens.schema import AXES, SPAN_TYPES
from framelens_training.corpora.labelled import (
    ANNOTATED,
    FIELDS,
    LEANS,
    GoldSegment,
    GoldSpan,
    LabelledDocument,
)

_TEXTS = ("id", "text", "headline", "outlet", "lean", "date", "url")
_BATCH = 200


def features() -> Any:
    """The `datasets.Features` of a document: names of fields, types and leans are class labels."""
    from datasets import ClassLabel, Features, List, Value

    string = Value("string")
    place: dict[str, Any] = {"field": ClassLabel(names=list(FIELDS))}
    place |= {"start": Value("int32"), "end": Value("int32")}
    segment: dict[str, Any] = {
        **place,
        **{str(axis): Value("bool") for axis in AXES},
        "weights": {str(axis): Value("float64") for axis in AXES},
    }
    return Features({
        "id": string,
        "text": Value("large_string"),
        "headline": string,
        "outlet": string,
        "lean": ClassLabel(names=list(LEANS)),
        "date": string,
        "url": string,
        "meta": List({"key": string, "value": string}),
        "annotated": List(ClassLabel(names=list(ANNOTATED))),
        "segments": List(segment),
        "spans": List({**place, "type": ClassLabel(names=list(SPAN_TYPES))}),
    })  # fmt: skip


def row_of(document: LabelledDocument) -> dict[str, Any]:
    """A document as a row with these features."""
    row: dict[str, Any] = {name: getattr(document, name) for name in _TEXTS}
    row["lean"] = None if document.lean is None else LEANS.index(document.lean)
    row["meta"] = [{"key": key, "value": value} for key, value in document.meta.items()]
    row["annotated"] = [i for i, name in enumerate(ANNOTATED) if name in document.annotated]
    row["segments"] = [
        {
            "field": FIELDS.index(s.field),
            "start": s.start,
            "end": s.end,
            **{axis: s.axis(axis) for axis in AXES},
            "weights": {axis: s.weights.get(axis) for axis in AXES},
        }
        for s in document.segments
    ]
    row["spans"] = [
        {
            "field": FIELDS.index(s.field),
            "start": s.start,
            "end": s.end,
            "type": SPAN_TYPES.index(s.type),
        }
        for s in document.spans
    ]
    return row


def document_of_row(row: Mapping[str, Any]) -> LabelledDocument:
    """The document that `row_of` was given."""
    texts = {name: row[name] for name in _TEXTS}
    texts["lean"] = None if row["lean"] is None else LEANS[row["lean"]]
    return LabelledDocument(
        **texts,
        annotated=frozenset(ANNOTATED[i] for i in row["annotated"]),
        segments=tuple(
            GoldSegment(
                FIELDS[s["field"]],
                s["start"],
                s["end"],
                s["attributed"],
                s["framed"],
                s["boilerplate"],
                {axis: w for axis in AXES if (w := s["weights"][axis]) is not None},
            )
            for s in row["segments"]
        ),
        spans=tuple(
            GoldSpan(FIELDS[s["field"]], SPAN_TYPES[s["type"]], s["start"], s["end"])
            for s in row["spans"]
        ),
        meta={item["key"]: item["value"] for item in row["meta"]},
    )


def dataset_of(documents: Iterable[LabelledDocument]) -> Any:
    """Documents as a `datasets.Dataset`, in memory."""
    import pyarrow
    from datasets import Dataset

    declared = features()
    schema = declared.arrow_schema
    batches: list[Any] = []
    rows: list[dict[str, Any]] = []
    for document in documents:
        rows.append(row_of(document))
        if len(rows) == _BATCH:
            batches.append(pyarrow.RecordBatch.from_pylist(rows, schema=schema))
            rows = []
    batches.append(pyarrow.RecordBatch.from_pylist(rows, schema=schema))
    return Dataset(pyarrow.Table.from_batches(batches, schema=schema))


def save(dataset: Any, path: Path) -> None:
    """Write a dataset into one Arrow file and its description, without a progress bar."""
    from datasets.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    silent = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        dataset.save_to_disk(str(path), num_shards=1)
    finally:
        if not silent:
            enable_progress_bars()


def documents_of(dataset: Any) -> Iterator[LabelledDocument]:
    """The documents of a dataset with these features, read from the disk batch by batch."""
    for batch in dataset.with_format("arrow").iter(batch_size=_BATCH):
        for row in batch.to_pylist():
            yield document_of_row(row)
