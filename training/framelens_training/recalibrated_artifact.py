"""The artifact that `framelens-train calibrate` writes: other numbers around the same weights."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from framelens.artifact import CARD_FILE, MODEL_FILE, TOKENIZER_FILE, Artifact
from framelens.features import Featurizer
from framelens.network import Network
from framelens_training.card import OWN, decoding_table
from framelens_training.corpora.formats.registry import read_any
from framelens_training.corpora.labelled import LabelledDocument, digest
from framelens_training.data import distinctly_named
from framelens_training.environment import git_revision, usable_cores
from framelens_training.export import complete_artifact
from framelens_training.predictions import predict
from framelens_training.recalibration import AxisChange, Recalibration, recalibrate
from framelens_training.targets import featurize_document
from framelens_training.tracking import Tracker, folder_under


@dataclass(frozen=True, slots=True)
class Labels:
    """One file or folder of labelled documents; their ids are distinct among all of them."""

    path: Path
    documents: Sequence[LabelledDocument]
    sha256: str

    @property
    def name(self) -> str:
        """What they are called beside a model's corpora, of which none is called so."""
        return f"labels {self.path.stem}"


def read_labels(paths: Sequence[Path]) -> list[Labels]:
    """The labelled documents of each path, in any format.

    Raises:
        CorpusError: with every error of a path.
        FileNotFoundError, FormatError: if one cannot be read.
    """
    taken: set[str] = set()
    found: list[Labels] = []
    for path in paths:
        documents = read_any(path)
        found.append(Labels(path, distinctly_named(documents, taken, path.stem), digest(documents)))
    return found


def calibrate(
    artifact: Artifact,
    labels: Sequence[Labels],
    tracker: Tracker,
    *,
    output: Path,
    name: str,
    version: str,
    registry: bool | None = None,
) -> tuple[Path, Recalibration]:
    """Calibrate an artifact anew, write it under a new name, and record how that was done.

    It lies in the folder `model` of a folder of its own under `output`.

    Raises:
        RecalibrationError: if the labels are too few.
    """
    before = artifact.manifest
    featurizer = Featurizer.from_file(artifact.tokenizer, before.features)
    documents = [document for item in labels for document in item.documents]
    items = [featurize_document(document, featurizer) for document in documents]
    logits = predict(Network(artifact.model, usable_cores()), items)
    found = recalibrate(before.decoding, items, logits)

    folder = folder_under(output, name, tracker.run_id) / "model"
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for file in (MODEL_FILE, TOKENIZER_FILE):
        shutil.copyfile(artifact.path / file, partial / file)
    card = (artifact.path / CARD_FILE).read_text("utf-8")
    title = f"# {name} {version}"
    (partial / CARD_FILE).write_text(_card(card, title, artifact, labels, found), "utf-8")
    recorded = before.training.get("corpora")
    training = {
        **before.training,
        # As a validation part, so that nothing is promoted by what it was tuned on.
        "corpora": [
            *(recorded if isinstance(recorded, list) else ()),
            *(
                {"name": item.name, "licence": OWN, "sha256": {"validation": item.sha256}}
                for item in labels
            ),
        ],
        "recalibrated": {
            "from": {
                "name": before.name,
                "version": before.version,
                "sha256": artifact.info.sha256,
            },
            "run_id": tracker.run_id,
            "figures": found.flat(),
        },
    }
    manifest = replace(
        before, name=name, version=version, decoding=found.decoding, training=training
    )
    complete_artifact(partial, folder, manifest, [(g.text, g.headline) for g in before.golden])
    _record(artifact, labels, found, folder, tracker)
    tracker.model(folder, name, registry)
    return folder, found


def _record(
    artifact: Artifact,
    labels: Sequence[Labels],
    found: Recalibration,
    folder: Path,
    tracker: Tracker,
) -> None:
    info, decoding = artifact.info, found.decoding
    tracker.params(
        {
            "model.name": info.name,
            "model.version": info.version,
            "model.sha256": info.sha256,
            **{f"thresholds.{axis}": value for axis, value in decoding.thresholds.items()},
            **{f"temperatures.{axis}": value for axis, value in decoding.temperatures.items()},
            **{f"offsets.{axis}": value for axis, value in decoding.offsets.items()},
        }
    )
    tracker.tags({"framelens.git_revision": git_revision(), "framelens.kind": "calibration"})
    for item in labels:
        rows = [
            {"id": d.id, "segments": len(d.segments), "spans": len(d.spans)} for d in item.documents
        ]
        tracker.dataset(item.name, "validation", rows, item.sha256)
    tracker.metrics(found.flat())
    tracker.text((folder / CARD_FILE).read_text("utf-8"), "model_card.md")


def _card(
    card: str, title: str, artifact: Artifact, labels: Sequence[Labels], found: Recalibration
) -> str:
    """The card of before under a new title, with what has changed at its head and its end."""
    info = artifact.info
    _, _, rest = card.partition("\n") if card.startswith("# ") else ("", "", card)
    sources = ", ".join(
        f"{item.path.name} ({len(item.documents):,} documents, sha256 {item.sha256})"
        for item in labels
    )
    return f"""{title}

**{info.name} {info.version}, calibrated anew**: the weights are the same; offsets, temperatures and
thresholds are those of the last section. Figures and thresholds before it are of
{info.name} {info.version}.
{rest.rstrip()}

## Calibrated anew

On labels of {found.articles:,} articles: {sources}. What follows is cross-fitted: each fifth of the
articles decoded with what the other four gave; 95 % bootstrap intervals over articles in square
brackets. The settings themselves are of all labels together.

{change_table(found, markdown=True)}

{decoding_table(found.decoding)}
"""


def change_table(found: Recalibration, *, markdown: bool = False) -> str:
    """What calibration does, axis by axis and span by span, as text or as Markdown."""
    header = ("", "labels", "yes", "macro-F1 before", "after", "difference", "calibration error")
    rows = [header, *(_row(axis, change) for axis, change in found.axes.items())]
    text = _laid_out(rows, markdown)
    if found.spans:
        spans = [("span", "gold", "exact F1 before", "after")]
        spans += [
            (
                kind,
                f"{change.gold:,}",
                f"{change.before:.3f}",
                f"{change.after:.3f}" + ("" if change.taken else " (kept as before)"),
            )
            for kind, change in found.spans.items()
        ]
        text += "\n\n" + _laid_out(spans, markdown)
    return text


def _row(axis: str, change: AxisChange) -> tuple[str, ...]:
    known = math.isfinite(change.before.value)
    counted = (f"{change.segments:,}", f"{change.positives:,}")
    if change.kind is None:
        kept = f"{change.before} (kept: too few labels)" if known else "kept: too few labels"
        return (axis, *counted, kept, "", "", "")
    return (
        axis,
        *counted,
        str(change.before) if known else "",
        str(change.after) if known else "",
        change.difference.signed() if known else "",
        f"{change.error_before:.3f} to {change.error_after:.3f}",
    )


def _laid_out(rows: Sequence[Sequence[str]], markdown: bool) -> str:
    if markdown:
        head, *body = (f"| {' | '.join(row)} |" for row in rows)
        return "\n".join([head, "|" + "---|" * len(rows[0]), *body])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
