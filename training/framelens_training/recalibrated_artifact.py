"""The artifact that `framelens-train calibrate` writes: other numbers around the same weights."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from framelens.artifact import CARD_FILE, MODEL_FILE, TOKENIZER_FILE, Artifact
from framelens.features import Featurizer
from framelens.network import Network
from framelens_training.card import decoding_table
from framelens_training.config import LOSS_PARTS
from framelens_training.data import listed
from framelens_training.environment import git_revision, usable_cores
from framelens_training.export import complete_artifact
from framelens_training.output_folders import make_folder
from framelens_training.own_labels import Labels, refuse_labels
from framelens_training.predictions import predict
from framelens_training.recalibration import AxisChange, Recalibration, recalibrate
from framelens_training.run_record import folder_under
from framelens_training.seen_texts import (
    Fingerprints,
    calibrated_on,
    fingerprint,
    write_seen,
)
from framelens_training.settings_text import decoding_json
from framelens_training.targets import featurize_document
from framelens_training.text_tables import table
from framelens_training.tracker import Tracker
from framelens_training.whole_files import replacing_folder


def fitted(
    artifact: Artifact, labels: Sequence[Labels], seen: Fingerprints | None
) -> Recalibration:
    """What calibration by labels makes of an artifact's answers, and what it is worth.

    `seen` is what its run noted to have learnt from (`noted_texts`).

    Raises:
        RecalibrationError: if the labels are too few.
        LearntTextsError: if the artifact has learnt from one of them.
    """
    refuse_labels(artifact, labels, seen)
    featurizer = Featurizer.from_file(artifact.tokenizer, artifact.manifest.features)
    documents = [document for item in labels for document in item.documents]
    items = [featurize_document(document, featurizer) for document in documents]
    logits = predict(Network(artifact.model, usable_cores()), items)
    learnt = artifact.manifest.training.get("learnt", LOSS_PARTS)
    return recalibrate(artifact.manifest.decoding, items, logits, learnt)


def write_calibrated(
    artifact: Artifact,
    labels: Sequence[Labels],
    found: Recalibration,
    seen: Fingerprints | None,
    tracker: Tracker,
    *,
    output: Path,
    name: str,
    version: str,
) -> Path:
    """Write an artifact with other calibration under another name, and record how that came.

    It lies in the folder `model` of a folder of its own under `output`, whole or not at all, beside
    what the artifact's run noted to have learnt from.

    Raises:
        TrainingError: if that folder cannot be made.
    """
    folder = folder_under(output, name, tracker.run_id) / "model"
    before = artifact.manifest
    manifest = replace(
        before,
        name=name,
        version=version,
        decoding=found.decoding,
        training=_training(artifact, labels, found, tracker.run_id),
    )
    golden_inputs = [(golden.text, golden.headline) for golden in before.golden]
    card = (artifact.path / CARD_FILE).read_text("utf-8")
    make_folder(folder.parent, "name another place with --output")
    try:
        with replacing_folder(folder) as new:
            for file in (MODEL_FILE, TOKENIZER_FILE):
                shutil.copyfile(artifact.path / file, new / file)
            text = _card(card, f"# {name} {version}", artifact, labels, found)
            (new / CARD_FILE).write_text(text, "utf-8")
            complete_artifact(new, manifest, golden_inputs)
    except BaseException:
        with contextlib.suppress(OSError):  # it may hold the journal
            folder.parent.rmdir()
        raise
    if seen is not None:
        write_seen(folder.parent, seen)
    _record(artifact, labels, found, folder, tracker)
    tracker.model(folder, name, None)
    return folder


def _training(
    artifact: Artifact, labels: Sequence[Labels], found: Recalibration, run_id: str | None
) -> dict[str, Any]:
    """A manifest's record of a training, with that of the calibration after it.

    What an earlier calibration recorded stays under `from`, and its texts among these.
    """
    training, info = artifact.manifest.training, artifact.info
    texts = {fingerprint(document) for item in labels for document in item.documents}
    return {
        **training,
        "run_id": run_id,
        "recalibrated": {
            "from": {
                "name": info.name,
                "version": info.version,
                "sha256": info.sha256,
                "run_id": training.get("run_id"),
                "recalibrated": training.get("recalibrated"),
            },
            "labels": [{"file": item.path.name, "sha256": item.sha256} for item in labels],
            "texts": sorted(texts | calibrated_on(training)),
            "figures": found.flat(),
        },
    }


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
            **{f"headline_offsets.{a}": value for a, value in decoding.headline_offsets.items()},
            **{f"span_thresholds.{kind}": v for kind, v in decoding.span_thresholds.items()},
        }
    )
    tracker.text(decoding_json(decoding), "decoding.json")
    tracker.tags({"framelens.git_revision": git_revision(), "framelens.kind": "calibration"})
    for item in labels:
        tracker.dataset(item.name, "validation", listed(item.documents), item.sha256)
    tracker.metrics(found.flat())
    tracker.text((folder / CARD_FILE).read_text("utf-8"), "model_card.md")


_SECTION = "## Calibrated anew"


def _card(
    card: str, title: str, artifact: Artifact, labels: Sequence[Labels], found: Recalibration
) -> str:
    """The card of before under a new title, with what has changed at its head and its end.

    What an earlier calibration wrote there is left out.
    """
    info = artifact.info
    _, _, rest = card.partition("\n") if card.startswith("# ") else ("", "", card)
    rest, *_ = rest.partition(f"\n{_SECTION}\n")
    head, _, body = rest.strip().partition("\n\n")
    if head.startswith("**") and ", calibrated anew**" in head:
        rest = body
    sources = ", ".join(
        f"{item.path.name} ({len(item.documents):,} documents, sha256 {item.sha256})"
        for item in labels
    )
    return f"""{title}

**{info.name} {info.version}, calibrated anew**: the weights are the same; offsets, temperatures and
thresholds are those of the last section. Figures and thresholds before it are those of the model as
it was trained.

{rest.strip()}

{_SECTION}

On labels of {found.articles:,} articles: {sources}. What follows is cross-fitted: each fifth of the
articles decoded with what the other four gave; 95 % bootstrap intervals over articles in square
brackets. The settings themselves are of all labels together.

{change_table(found, markdown=True)}

{decoding_table(found.decoding)}
"""


def change_table(found: Recalibration, *, markdown: bool = False) -> str:
    """What calibration does, axis by axis and span by span, as text or as Markdown."""
    tables: list[str] = []
    if found.axes:
        header = (
            "",
            "labels",
            "yes",
            "macro-F1 before",
            "after",
            "difference",
            "calibration error",
        )
        rows = [_row(axis, change) for axis, change in found.axes.items()]
        tables.append(table(header, rows, markdown))
    if found.spans:
        spans = [
            (
                kind,
                f"{change.gold:,}",
                f"{change.before:.3f}",
                f"{change.after:.3f}" + ("" if change.taken else " (kept as before)"),
            )
            for kind, change in found.spans.items()
        ]
        tables.append(table(("span", "gold", "exact F1 before", "after"), spans, markdown))
    return "\n".join(tables).rstrip("\n")


def _row(axis: str, change: AxisChange) -> tuple[str, ...]:
    counted = (f"{change.segments:,}", f"{change.positives:,}")
    before = str(change.before) if math.isfinite(change.before.value) else ""
    if change.kind is None:
        kept = "(kept as before: too few labels, or articles, or never learnt)"
        return (axis, *counted, f"{before} {kept}".strip(), "", "", "")
    return (
        axis,
        *counted,
        before,
        str(change.after) + ("" if change.taken else " (kept as before)"),
        change.difference.signed(),
        f"{change.error_before:.3f} to {change.error_after:.3f}",
    )
