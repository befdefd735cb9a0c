"""A model of framelens as Hugging Face's `pipeline("text-classification")` runs it.

    python benchmarks/batch_pipeline.py FOLDER

opens one that `Peer.save` wrote and scores one sentence: what it takes to start, from exec to exit.

The weights are read from the fp32 graph of a training run, or from the graph that ships, whose
int8 weights are multiplied out; where the graph is not as expected they are random, which costs
the same time, and labels are not compared.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertModel,
    BertPreTrainedModel,
    PreTrainedTokenizerFast,
    TextClassificationPipeline,
    pipeline,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from framelens.artifact import Artifact
from framelens.decoding import label_of
from framelens.schema import AXES, Axis

BATCH = 32
_HEAD_SIZES = (32, 64)
_PREFIX = "model.encoder."
_CLOSE = 0.1  # mean difference of a score, over which the weights were not read right


class SeparatorConfig(BertConfig):
    """Configuration of `SeparatorClassifier`."""

    model_type = "separator-bert"


class SeparatorClassifier(BertPreTrainedModel):
    """The encoder with its head for segments, read at the last token of each row, a [SEP].

    Logits are divided by the calibration's temperatures, which are part of the head.
    """

    config_class = SeparatorConfig

    def __init__(self, config: SeparatorConfig) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.classifier = nn.Linear(config.hidden_size, len(AXES))
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        **_: Any,
    ) -> SequenceClassifierOutput:
        """Logits (b, 3) of token ids (b, t) that are padded on the right."""
        hidden = self.bert(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        rows = torch.arange(len(input_ids))
        return SequenceClassifierOutput(
            logits=self.classifier(hidden[rows, attention_mask.sum(dim=1) - 1])
        )


class Peer:
    """The pipeline, and what is known of its weights."""

    def __init__(self, artifact: Artifact, fp32: Path | None) -> None:
        """Build it from the graph of `fp32` if there is one, otherwise from the artifact's."""
        AutoModelForSequenceClassification.register(
            SeparatorConfig, SeparatorClassifier, exist_ok=True
        )
        self.weights = "random, of the same shape"
        self.compared = False
        self._decoding = artifact.manifest.decoding
        tokenizer = _tokenizer(artifact)
        self._run = _pipeline(_model(artifact, {}, _HEAD_SIZES[0]), tokenizer)
        for path, what in ((fp32, "fp32 graph"), (artifact.model, "shipped graph, multiplied out")):
            if path is None or self.compared:
                continue
            tensors = read_weights(path)
            for size in _HEAD_SIZES:
                run = _pipeline(_model(artifact, tensors, size), tokenizer)
                if _gap(run, artifact) < _CLOSE:
                    self._run, self.weights, self.compared = run, what, True
                    break

    def __call__(self, texts: Sequence[str]) -> list[dict[Axis, float]]:
        """Scores of each text, as the pipeline gives them in batches of 32."""
        return _scores(self._run, texts)

    def save(self, folder: Path) -> None:
        """Write weights and tokenizer as a Hugging Face directory."""
        self._run.save_pretrained(folder)

    def label(self, scores: dict[Axis, float]) -> str:
        """The label of framelens for these scores."""
        rounded = {axis: round(scores[axis], 4) for axis in AXES}
        return label_of(rounded, self._decoding, "body")


def main() -> None:
    """Open a saved pipeline and score one sentence."""
    folder = sys.argv[1]
    model = SeparatorClassifier.from_pretrained(folder)
    _scores(_pipeline(model, PreTrainedTokenizerFast.from_pretrained(folder)), _TRIAL[:1])


def _scores(run: TextClassificationPipeline, texts: Sequence[str]) -> list[dict[Axis, float]]:
    answers: Any = run(list(texts), batch_size=BATCH)
    return [{item["label"]: item["score"] for item in answer} for answer in answers]


def _pipeline(model: SeparatorClassifier, tokenizer: Any) -> TextClassificationPipeline:
    return pipeline(
        "text-classification",
        model=model,
        tokenizer=tokenizer,
        device="cpu",
        top_k=None,
        function_to_apply="sigmoid",
        truncation=True,
    )


def _tokenizer(artifact: Artifact) -> PreTrainedTokenizerFast:
    features = artifact.manifest.features
    own = Tokenizer.from_file(str(artifact.tokenizer))
    cls, sep = features.cls_token, features.sep_token
    own.post_processor = TemplateProcessing(
        single=f"{cls} $A {sep}",
        special_tokens=[(token, own.token_to_id(token)) for token in (cls, sep)],
    )
    known = own.get_vocab()
    return PreTrainedTokenizerFast(
        tokenizer_object=own,
        cls_token=cls,
        sep_token=sep,
        pad_token=next((t for t in ("[PAD]", "<pad>") if t in known), sep),
        padding_side="right",
        model_max_length=features.max_tokens,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def _model(
    artifact: Artifact, tensors: dict[str, NDArray[np.float32]], head_size: int
) -> SeparatorClassifier:
    shape = shape_of(artifact.model)
    names: dict[int, str] = dict(enumerate(AXES))
    config = SeparatorConfig(
        vocab_size=shape["words"],
        hidden_size=shape["width"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=max(shape["width"] // head_size, 1),
        intermediate_size=shape["inner"],
        max_position_embeddings=shape["positions"],
        type_vocab_size=shape["types"],
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        id2label=names,
        label2id={name: number for number, name in names.items()},
        problem_type="multi_label_classification",
    )
    model: SeparatorClassifier = SeparatorClassifier(config).eval()
    expected = model.state_dict()
    temperatures = artifact.manifest.decoding.temperatures
    divisor = np.array([temperatures[axis] for axis in AXES], dtype=np.float32)
    given = {
        "bert." + name.removeprefix(_PREFIX): array
        for name, array in tensors.items()
        if name.startswith(_PREFIX)
    }
    if "model.segment_head.weight" in tensors:
        given["classifier.weight"] = tensors["model.segment_head.weight"] / divisor[:, None]
        given["classifier.bias"] = tensors["model.segment_head.bias"] / divisor
    parameters = {name for name, _ in model.named_parameters()}
    if parameters <= given.keys() and all(
        given[name].shape == tuple(expected[name].shape) for name in parameters
    ):
        state = {name: torch.from_numpy(given[name].copy()) for name in parameters}
        model.load_state_dict(state, strict=False)
    return model


_TRIAL = (
    "The minister said on Tuesday that the road would stay closed.",
    "Yet another shameful plan.",
    "The council met on Monday.",
    "Sign up to our newsletter.",
)


def _gap(run: TextClassificationPipeline, artifact: Artifact) -> float:
    """Mean difference of a score, pipeline against artifact, on a few sentences."""
    from framelens.scorer import Scorer

    scorer = Scorer(artifact)
    gaps = [
        abs(theirs[axis] - scorer.score(text, unit="segment").segments[0].scores[axis])
        for text, theirs in zip(_TRIAL, _scores(run, _TRIAL), strict=True)
        for axis in AXES
    ]
    return sum(gaps) / len(gaps)


def read_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """The weights of a graph by the names that torch gave them; int8 ones multiplied out."""
    model = onnx.load(str(path))
    constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    made = {name: node for node in model.graph.node for name in node.output}
    found = {
        name: array.astype(np.float32)
        for name, array in constants.items()
        if name.startswith("model.") and array.dtype == np.float32
    }
    for name, array in constants.items():
        if name.endswith("_int8"):
            base = name.removesuffix("_int8")
            found[base] = array.astype(np.float32) * constants[f"{base}_scale"]
    for node in model.graph.node:
        if node.op_type != "Add":
            continue
        bias = next((i for i in node.input if i in constants and i.endswith(".bias")), None)
        product = next((i for i in node.input if i not in constants), None)
        if bias is None or product is None:
            continue
        weight = _weight(product, made, constants)
        if weight is not None:
            found[bias.removesuffix("bias") + "weight"] = np.ascontiguousarray(weight.T)
    return found


def _weight(
    name: str, made: dict[str, Any], constants: dict[str, NDArray[Any]]
) -> NDArray[np.float32] | None:
    """The constant (inputs, outputs) factor of the product that `name` is, if it is one."""
    node = made.get(name)
    while node is not None and node.op_type in ("Mul", "Cast"):
        before = [made[i] for i in node.input if i in made]
        node = next((n for n in before if n.op_type in ("Cast", "MatMulInteger", "MatMul")), None)
    if node is None or node.op_type not in ("MatMul", "MatMulInteger"):
        return None
    if node.op_type == "MatMul":
        if node.input[1] not in constants:
            return None
        weight, source = constants[node.input[1]], node.input[0]
    else:
        base = node.input[1].removesuffix("_quantized")
        zeros = constants[node.input[3]].astype(np.float32)
        weight = (constants[node.input[1]].astype(np.float32) - zeros) * constants[f"{base}_scale"]
        source = made[node.input[0]].input[0]
    smoothing = made.get(source)
    if smoothing is not None and smoothing.op_type == "Mul":
        factor = next((constants[i] for i in smoothing.input if i.endswith("_inverse")), None)
        if factor is not None:
            weight = weight * factor[:, None]
    return np.asarray(weight, dtype=np.float32)


def shape_of(path: Path) -> dict[str, int]:
    """Sizes of a BERT graph: words, width, layers, inner, positions, types, flop a token.

    `flop` are those of products with weights; attention adds 4 * `width` * `layers` for each
    token that a token looks at.
    """
    model = onnx.load(str(path))
    dims = {item.name: list(item.dims) for item in model.graph.initializer}
    embeddings = "model.encoder.embeddings."
    words = next(
        dims[name]
        for name in dims
        if re.fullmatch(re.escape(embeddings) + r"word_embeddings\.weight(_int8)?", name)
    )
    products = [
        dims[node.input[1]]
        for node in model.graph.node
        if node.op_type in ("MatMul", "MatMulInteger") and node.input[1] in dims
    ]
    width = words[1]
    layers = {n for name in dims for n in re.findall(r"encoder\.layer\.(\d+)\.", name)}
    inner = next(d[0] for n, d in dims.items() if n.endswith("layer.0.intermediate.dense.bias"))
    return {
        "words": words[0],
        "width": width,
        "layers": len(layers),
        "inner": inner,
        "positions": dims[embeddings + "position_embeddings.weight"][0],
        "types": dims[embeddings + "token_type_embeddings.weight"][0],
        "flop": sum(2 * rows * columns for rows, columns in products),
    }


if __name__ == "__main__":
    main()
