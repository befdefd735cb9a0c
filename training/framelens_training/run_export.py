"""The artifact of a run: its graphs, how far they are apart, its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framelens.artifact import Artifact
from framelens.decoding import DecodingConfig
from framelens.errors import ArtifactError
from framelens.features import DocumentFeatures, Featurizer, WindowFeatures
from framelens_training.assessment import Assessment
from framelens_training.card import model_card
from framelens_training.config import Config, LossPart
from framelens_training.encoder import architecture_of
from framelens_training.errors import ExportError
from framelens_training.export import Parity, export_onnx, measure_parity, write_artifact
from framelens_training.model import SegmentSpanModel
from framelens_training.parity_texts import PARITY_TEXTS
from framelens_training.preparation import TrainingSetup
from framelens_training.progress import Say
from framelens_training.quantization import quantize
from framelens_training.run_record import RunRecord
from framelens_training.run_weights import CHECKPOINTS
from framelens_training.targets import LabelledFeatures
from framelens_training.whole_files import remove_unfinished

INT8 = "int8.onnx"
"""The quantized graph in a run's folder, until the artifact has it."""

MIN_PARITY_TEXTS = 200
CALIBRATION_DOCUMENTS = 16
GOLDEN_INPUTS: tuple[tuple[str, str | None], ...] = (
    (
        "The harbour board voted on Tuesday to close the north pier. “It was the only honest "
        "choice left,” its chair, Ruth Adeyemi, told members.",
        "North pier to close",
    ),
    (
        "In yet another farcical twist, the hapless minister has somehow lost the file. "
        "The ministry employs 340 people.",
        "Bungling minister mislays the evidence",
    ),
    ("Sign up for our newsletter\nRain is expected in the valley on Friday.", None),
)


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """A run whose training has ended."""

    config: Config
    record: RunRecord
    folder: Path
    setup: TrainingSetup
    model: SegmentSpanModel
    learnt: Sequence[LossPart]
    """The parts that the model knows, those of a model that was mixed in with them."""

    @property
    def artifact(self) -> Path:
        """The folder of its artifact."""
        return self.folder / "model"

    def card(
        self, decoding: DecodingConfig, parity: Parity, assessment: Assessment | None = None
    ) -> str:
        """The card of its artifact (`model_card`)."""
        return model_card(
            self.config,
            self.setup.corpora,
            decoding,
            parity,
            assessment,
            encoder=self.setup.encoder.name,
            learnt=self.learnt,
            inherited=self.record.inherited,
        )


def exported(artifact: Path, run_id: str | None) -> Parity | None:
    """What was measured of an artifact that an earlier process wrote; None if there is none."""
    try:
        training = Artifact.open(artifact).manifest.training
    except ArtifactError:  # none, or one whose card was being written
        return None
    if training["run_id"] != run_id:  # the run was not recorded then
        return None
    figures = training["parity"]
    return Parity(**{name.removeprefix("parity/"): value for name, value in figures.items()})


def export_run(run: TrainedRun, decoding: DecodingConfig, run_id: str | None, say: Say) -> Parity:
    """Write a run's artifact, and say how far its graphs are from the trained model.

    Raises:
        ExportError: if the fp32 graph does not do what the model does.
    """
    say("Exporting to ONNX")
    config, setup = run.config, run.setup
    fp32, int8 = run.folder / "fp32.onnx", run.folder / INT8
    remove_unfinished(run.artifact)
    export_onnx(run.model, fp32, config.windows.max_tokens)
    quantize(fp32, int8, _calibration_windows(setup.split["train"]))
    documents = _parity_documents(setup.featurizer, setup.split)
    parity = measure_parity(run.model, fp32, int8, documents, decoding)
    if not parity.torch_onnx_max_difference <= config.export.parity_tolerance:  # nor if it is NaN
        raise ExportError(
            f"expected the fp32 ONNX graph within {config.export.parity_tolerance} of torch, found "
            f"a difference of {parity.torch_onnx_max_difference:.2e}; the trained weights are in "
            f"{run.folder / CHECKPOINTS}"
        )
    write_artifact(
        run.artifact,
        int8 if config.export.precision == "int8" else fp32,
        encoder=setup.encoder,
        features=setup.featurizer.config,
        decoding=decoding,
        name=config.name,
        version=config.version,
        precision=config.export.precision,
        training=_origin(run, run_id, parity),
        card=run.card(decoding, parity),
        golden_inputs=GOLDEN_INPUTS,
    )
    return parity


def _origin(run: TrainedRun, run_id: str | None, parity: Parity) -> dict[str, Any]:
    """What a manifest notes of the training that its model comes from."""
    record = run.record
    return {
        "run_id": run_id,
        "git_revision": record.revision,
        "config": run.config.to_dict(),
        "corpora": [
            {"name": c.name, "licence": c.licence, "sha256": dict(c.digests)}
            for c in run.setup.corpora
        ],
        "inherited": dict(record.inherited),
        "inherited_train": dict(record.inherited_train),
        "learnt": run.learnt,
        "architecture": architecture_of(run.setup.encoder),
        "parity": parity.flat(),
    }


def _calibration_windows(train: Sequence[LabelledFeatures]) -> list[WindowFeatures]:
    """Windows of evenly spread training documents."""
    step = max(1, len(train) // CALIBRATION_DOCUMENTS)
    return [window for item in train[::step] for window in item.features.windows]


def _parity_documents(
    featurizer: Featurizer, split: Mapping[str, Sequence[LabelledFeatures]]
) -> list[DocumentFeatures]:
    """Every held-out document, hard texts, and single segments until there are enough."""
    documents = [item.features for name in ("validation", "test") for item in split[name]]
    documents += [featurizer.featurize([text], ["body"]) for text in PARITY_TEXTS]
    for item in (*split["test"], *split["train"]):
        for segment in item.document.segments:
            if len(documents) >= MIN_PARITY_TEXTS + len(PARITY_TEXTS):
                return documents
            text = item.document.segment_text(segment)
            documents.append(featurizer.featurize([text], ["body"]))
    return documents
