"""From a trained model to the artifact: ONNX, int8, parity, manifest."""

from __future__ import annotations

import copy
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from framelens.artifact import (
    CARD_FILE,
    MODEL_FILE,
    TOKENIZER_FILE,
    Golden,
    Manifest,
    write_manifest,
)
from framelens.decoding import (
    DecodingConfig,
    DocumentLogits,
    axis_scores,
    label_of,
    merge_windows,
)
from framelens.features import DocumentFeatures, FeatureConfig
from framelens.network import EMBEDDINGS, INPUTS, OUTPUTS, Network
from framelens.schema import AXES
from framelens.windows import LARGEST_MAX_TOKENS
from framelens_training.encoder import Encoder
from framelens_training.errors import ExportError
from framelens_training.graph_fusion import fuse
from framelens_training.model import ExportModel, SegmentSpanModel, TorchNetwork
from framelens_training.predictions import NetworkLike, by_axis
from framelens_training.whole_files import replacing_folder

OPSET = 18


@dataclass(frozen=True, slots=True)
class Parity:
    """How far apart two forms of a model are on the same windows."""

    texts: int
    segments: int
    torch_onnx_max_difference: float
    """Largest absolute difference of a logit, torch against fp32 ONNX."""
    int8_changed_labels: float
    """Share of segments whose label int8 changes against fp32 ONNX."""
    int8_mean_difference: float
    """Mean absolute difference of an axis score, int8 against fp32 ONNX."""

    def flat(self) -> dict[str, float]:
        """The figures as metrics."""
        return {
            "parity/texts": self.texts,
            "parity/segments": self.segments,
            "parity/torch_onnx_max_difference": self.torch_onnx_max_difference,
            "parity/int8_changed_labels": self.int8_changed_labels,
            "parity/int8_mean_difference": self.int8_mean_difference,
        }


def export_onnx(model: SegmentSpanModel, path: Path, longest: int | None = None) -> None:
    """Write the fp32 graph: one window, no padding and no attention mask.

    `longest` is the length of the longest window that the graph will read, in tokens; the
    positions after it are left out. Without it, all that the encoder has are kept.

    Raises:
        ExportError: if torch cannot export the encoder.
    """
    module = ExportModel(_with_positions(model, longest) if longest else model).eval()
    example = (torch.ones((1, 12), dtype=torch.int64), torch.zeros((1, 12), dtype=torch.int64))
    length = torch.export.Dim("length", min=2, max=LARGEST_MAX_TOKENS)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            example,
            dynamic_shapes=({1: length}, {1: length}),
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ExportError("torch.onnx.export returned no program")
    program.save(str(path), external_data=False)
    graph = fuse(onnx.load(str(path)))
    _show_embeddings(graph)
    strip_origin(graph)
    onnx.save(graph, str(path))


def strip_origin(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes of where each part came from: stack traces with the paths of
    the machine that exported, and names of classes that the small package does not know.
    """
    graph = model.graph
    parts = (
        model,
        graph,
        *graph.node,
        *graph.initializer,
        *graph.value_info,
        *graph.input,
        *graph.output,
        *model.functions,
    )
    for part in parts:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def _with_positions(model: SegmentSpanModel, longest: int) -> SegmentSpanModel:
    """A copy of a model of the BERT family with its first positions only."""
    if model.encoder.config.model_type != "bert":
        return model  # others count positions from elsewhere, or relatively
    model = copy.deepcopy(model)
    embeddings = model.encoder.embeddings
    table = embeddings.position_embeddings
    embeddings.position_embeddings = torch.nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
        table.weight.detach()[:longest].clone()
    )
    for name in ("position_ids", "token_type_ids"):
        if getattr(embeddings, name, None) is not None:
            setattr(embeddings, name, getattr(embeddings, name)[:, :longest])
    return model


def _show_embeddings(model: onnx.ModelProto) -> None:
    """Make the looked-up word embeddings an output; it costs no weights and no computation.

    A graph that looks its tokens up in some other way is left as it is: the headline check
    then compares words by their letters.
    """
    tables = {item.name: item.dims for item in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Gather" and node.input[0] in tables and node.input[1] == INPUTS[0]:
            width = tables[node.input[0]][-1]
            model.graph.node.append(
                onnx.helper.make_node("Identity", [node.output[0]], [EMBEDDINGS], name=EMBEDDINGS)
            )
            model.graph.output.append(
                onnx.helper.make_tensor_value_info(
                    EMBEDDINGS, onnx.TensorProto.FLOAT, [1, "length", width]
                )
            )
            return


def measure_parity(
    model: SegmentSpanModel,
    fp32: Path,
    int8: Path,
    documents: Sequence[DocumentFeatures],
    decoding: DecodingConfig,
) -> Parity:
    """Compare torch, fp32 ONNX and int8 ONNX, logits and labels, window by window."""
    networks: tuple[NetworkLike, ...] = (TorchNetwork(model), Network(fp32), Network(int8))
    worst, changed, segments = 0.0, 0, 0
    gaps: list[float] = []
    for features in documents:
        answers = [[network(window) for window in features.windows] for network in networks]
        for ours, theirs in zip(answers[0], answers[1], strict=True):
            differences = [np.abs(a - b).max() for a, b in zip(ours, theirs, strict=True)]
            worst = float(np.max([worst, *differences]))  # NaN if one is, which `max` leaves out
        merged: list[DocumentLogits] = [merge_windows(features, rows) for rows in answers[1:]]
        full, small = (axis_scores(item, decoding) for item in merged)
        segments += len(full)
        gaps.append(float(np.abs(full - small).sum()))
        for a, b, segment in zip(full, small, features.segments, strict=True):
            left, right = (label_of(by_axis(row), decoding, segment.role) for row in (a, b))
            changed += left != right
    return Parity(
        texts=len(documents),
        segments=segments,
        torch_onnx_max_difference=worst,
        int8_changed_labels=changed / max(segments, 1),
        int8_mean_difference=sum(gaps) / max(segments * len(AXES), 1),
    )


def write_artifact(
    folder: Path,
    model_file: Path,
    *,
    encoder: Encoder,
    features: FeatureConfig,
    decoding: DecodingConfig,
    name: str,
    version: str,
    precision: str,
    training: Mapping[str, Any],
    card: str,
    golden_inputs: Sequence[tuple[str, str | None]],
) -> None:
    """Make the artifact directory, complete or not at all."""
    manifest = Manifest(
        name=name,
        version=version,
        encoder=encoder.name,
        precision=precision,
        features=features,
        decoding=decoding,
        training=training,
    )
    with replacing_folder(folder) as new:
        shutil.copyfile(model_file, new / MODEL_FILE)
        encoder.tokenizer.save(str(new / TOKENIZER_FILE), pretty=False)
        (new / CARD_FILE).write_text(card, encoding="utf-8")
        complete_artifact(new, manifest, golden_inputs)


def complete_artifact(
    folder: Path, manifest: Manifest, golden_inputs: Sequence[tuple[str, str | None]]
) -> None:
    """Give a folder with weights, tokenizer and card its manifest.

    The golden answers are what the artifact itself says, asked through the inference package.
    """
    from framelens.artifact import Artifact
    from framelens.scorer import Scorer

    write_manifest(folder, replace(manifest, golden=()))
    scorer = Scorer(Artifact.open(folder))
    golden = tuple(_golden(scorer, text, headline) for text, headline in golden_inputs)
    write_manifest(folder, replace(manifest, golden=golden))


def _golden(scorer: Any, text: str, headline: str | None) -> Golden:
    document = scorer.score(text, headline)
    return Golden(
        text=text,
        headline=headline,
        labels=tuple(segment.label for segment in document.segments),
        scores=tuple(tuple(segment.scores[axis] for axis in AXES) for segment in document.segments),
    )
