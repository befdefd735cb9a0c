"""Span F1 of a model by CofeNet's protocol on PolNeAR's validation part; prints JSON.

    python benchmarks/cofenet.py MODEL CORPORA_ROOT

Beside it stands the ceiling: what gold spans get that went through the model's tokens, tags
and decoding, which cannot begin or end within a word of the tokenizer.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import batch_common  # noqa: F401  # it puts the tests' helpers on the path
from framelens.artifact import Artifact
from framelens.decoding import DecodingConfig
from framelens.features import Featurizer
from framelens.network import Network
from framelens_training.cofenet_protocol import (
    CofenetScores,
    cofenet_scores,
    score_documents,
    with_spans,
)
from framelens_training.corpora.cofenet import TokenSentence, validation_sentences
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.polnear import PolNeAR
from framelens_training.predictions import predict
from framelens_training.targets import featurize_document
from support import gold_network


def ceiling(
    documents: Sequence[LabelledDocument],
    featurizer: Featurizer,
    sentences: Sequence[TokenSentence],
) -> CofenetScores:
    """The scores of gold spans that went through tokens, tags and decoding."""
    found: dict[str, LabelledDocument] = {}
    for document in documents:
        item = featurize_document(document, featurizer)
        (logits,) = predict(gold_network(item), [item])
        found[document.id] = with_spans(item, logits.tokens, DecodingConfig())
    return score_documents(found, sentences)


def shown(scores: CofenetScores) -> dict[str, object]:
    """Scores as JSON."""
    spans = {
        kind: {
            "precision": round(item.precision, 4),
            "recall": round(item.recall, 4),
            "f1": round(item.f1, 4),
            "gold": item.gold,
        }
        for kind, item in scores.spans.items()
    }
    return {"sentences": scores.sentences, "unread": scores.unread, "spans": spans}


def main() -> None:
    """Read the arguments and print the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("root", type=Path)
    options = parser.parse_args()
    manifest = Artifact.open(options.model).manifest
    network = Network(options.model / "model.onnx")
    featurizer = Featurizer.from_file(options.model / "tokenizer.json", manifest.features)
    sentences = validation_sentences(options.root)
    documents = PolNeAR().read(options.root)["validation"]
    model = cofenet_scores(network, featurizer, manifest.decoding, documents, sentences)
    scores = {
        "model": shown(model),
        "ceiling": shown(ceiling(documents, featurizer, sentences)),
    }
    print(json.dumps(scores, indent=1))


if __name__ == "__main__":
    main()
