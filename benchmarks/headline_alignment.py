"""Compare ways to align a headline with its body, on the tuning pairs; prints JSON.

    python benchmarks/headline_alignment.py MODEL

For each way to compare words: how often the best segment is an annotated one; how well its
score tells a body with the claim from the same body without the sentences that carry it (AUROC);
and how well the similarity tells the headline's own words from its others (AUROC, with the
annotated segment given). The ways: equal letters; the encoder's word embeddings; the hidden
states after each of its layers. All but the first take the better of letters and cosine for
own words, and the cosine alone for the alignment.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper
from sklearn.metrics import roc_auc_score

from framelens.alignment import Alignment, Words, align, content_words, cosines
from framelens.artifact import Artifact
from framelens.features import Featurizer, TokenizedSegment
from framelens.network import EMBEDDINGS, INPUTS
from framelens.schema import Role
from framelens_training.headline_pairs import HeadlinePair, read_pairs

LETTERS = "letters"
Rows = NDArray[np.float32]


def layers(model: onnx.ModelProto) -> dict[str, str]:
    """Tensors to compare words by: the embeddings, and the output of every layer."""
    norms = [node.output[0] for node in model.graph.node if node.op_type == "LayerNormalization"]
    named = {f"layer {at}": name for at, name in enumerate(norms[2::2], start=1)}
    shown = {output.name for output in model.graph.output}
    return ({"word embeddings": EMBEDDINGS} if EMBEDDINGS in shown else {}) | named


def open_session(model: onnx.ModelProto, names: Mapping[str, str]) -> ort.InferenceSession:
    """A session of the graph that gives the named tensors as well."""
    shown = {output.name for output in model.graph.output}
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in names.values()
        if name not in shown
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, str(path))
        return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@dataclass(frozen=True, slots=True)
class Compared:
    """A pair's words, and the vectors of the headline's and of the body's by way of comparison."""

    headline: Words
    body: list[Words]
    vectors: dict[str, tuple[Rows, Rows] | None]


def compared(
    pair: HeadlinePair,
    featurizer: Featurizer,
    session: ort.InferenceSession,
    names: Mapping[str, str],
) -> Compared:
    """The words of a pair with their vectors."""
    texts = [pair.headline, *pair.body]
    roles: list[Role] = ["headline"]
    roles += ["body" for _ in pair.body]
    features = featurizer.featurize(texts, roles)
    states: dict[str, list[Rows]] = {
        name: [np.zeros((len(segment.ids), 1), np.float32) for segment in features.segments]
        for name in names
    }
    for window in features.windows:
        feed = (window.input_ids[np.newaxis], window.token_type_ids[np.newaxis])
        found = session.run(list(names.values()), dict(zip(INPUTS, feed, strict=True)))
        for name, value in zip(names, found, strict=True):
            for piece, at in zip(window.pieces, window.positions, strict=True):
                states[name][piece.segment] = value[0][at : at + piece.size]
    words = [content_words(t, s) for t, s in zip(texts, features.segments, strict=True)]
    vectors: dict[str, tuple[Rows, Rows] | None] = {LETTERS: None}
    for name, rows in states.items():
        units = [_unit(*item) for item in zip(words, features.segments, rows, strict=True)]
        vectors[name] = (units[0], np.concatenate(units[1:]))
    return Compared(words[0], words[1:], vectors)


def _unit(words: Words, segment: TokenizedSegment, state: Rows) -> Rows:
    summed = np.add.reduceat(state, np.flatnonzero(segment.words), axis=0)
    kept: Rows = summed[list(words.positions)]
    unit: Rows = kept / np.linalg.norm(kept, axis=1, keepdims=True)
    return unit


def judged(pairs: list[tuple[HeadlinePair, Compared]], way: str) -> dict[str, Any]:
    """The figures of one way."""
    hits: list[bool] = []
    whole: list[float] = []
    without: list[float] = []
    own: list[bool] = []
    alone: list[float] = []
    for pair, words in pairs:
        vectors = words.vectors[way]
        cosine = None if vectors is None else cosines(words.body, *vectors)
        both = align(words.headline, words.body, cosine)
        alignment = both if cosine is None else Alignment(cosine, both.weights)
        scores = alignment.scores()
        if not pair.aligned:
            without.append(float(scores.max()))
            continue
        hits.append(int(scores.argmax()) in pair.aligned)
        whole.append(float(scores.max()))
        without.append(float(np.delete(scores, pair.aligned).max()))
        behind = both.similarity[list(pair.aligned)].max(axis=0)
        for start, value in zip(words.headline.starts, behind, strict=True):
            own.append(any(a <= start < b for a, b in pair.own))
            alone.append(1 - float(value))
    claims = [True] * len(whole) + [False] * len(without)
    return {
        "pairs": len(hits),
        "right segment": round(float(np.mean(hits)), 3),
        "claim or none, AUROC": round(float(roc_auc_score(claims, whole + without)), 3),
        "own words, AUROC": round(float(roc_auc_score(own, alone)), 3),
    }


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", type=Path, help="model directory")
    artifact = Artifact.open(parser.parse_args().model)
    model = onnx.load(str(artifact.model))
    names = layers(model)
    session = open_session(model, names)
    featurizer = Featurizer.from_file(artifact.tokenizer, artifact.manifest.features)
    pairs = [pair for pair in read_pairs() if pair.part == "tuning"]
    ready = [(pair, compared(pair, featurizer, session, names)) for pair in pairs]
    found = {way: judged(ready, way) for way in (LETTERS, *names)}
    print(json.dumps({"model": artifact.info.to_dict(), "ways": found}, indent=2))


if __name__ == "__main__":
    main()
