"""A Hugging Face classifier behind the interface of `framelens.network.Network`.

It can teach the axes that its labels are called after, or the tags of attribution spans; where
it has no answer it says NaN, and its students learn the rest from labels or other teachers.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from framelens.artifact import sha256
from framelens.decoding import Floats
from framelens.features import FeatureConfig, Featurizer, WindowFeatures
from framelens.schema import AXES, BIO_TAGS, SPAN_LOGITS
from framelens.windows import OVERLAP
from framelens_training.config import LossPart
from framelens_training.encoder import positions_of
from framelens_training.errors import TeacherError, first_line

_KINDS = ("ForSequenceClassification", "ForTokenClassification")
_MOST_TOKENS = 512
_FEWEST_TOKENS = 3
"""One between the first and the last, which are special."""


def is_classifier(folder: Path) -> bool:
    """Whether a directory holds a sequence or token classifier."""
    return _kind(folder) is not None


def _kind(folder: Path) -> str | None:
    try:
        row = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        names = row.get("architectures") or []
    except (OSError, ValueError, AttributeError):
        return None
    return next((kind for kind in _KINDS for name in names if str(name).endswith(kind)), None)


class ClassifierNetwork:
    """One window of one segment in, both logits out, NaN where the classifier has no label."""

    def __init__(self, model: Any, kind: str, digest: str) -> None:
        """Take a loaded model.

        Raises:
            TeacherError: if its labels are neither axes nor the tags of attribution spans.
        """
        self.digest = digest
        """sha256 of its configuration and weights."""
        self._model = model.eval()
        self._tokens = kind == "ForTokenClassification"
        labels = [str(model.config.id2label[n]) for n in range(model.config.num_labels)]
        wanted: tuple[str, ...] = BIO_TAGS if self._tokens else AXES
        places = {label.casefold(): column for column, label in enumerate(labels)}
        self._columns = {
            number: places[name.casefold()]
            for number, name in enumerate(wanted)
            if name.casefold() in places
        }
        complete = len(self._columns) == len(BIO_TAGS) if self._tokens else bool(self._columns)
        if not complete:
            expected = "all of" if self._tokens else "at least one of"
            raise TeacherError(
                f"expected {expected} the labels {', '.join(wanted)} in id2label of its "
                f"config.json, found {', '.join(labels)}; rename its labels there if they mean "
                "the same"
            )
        self.learnt: frozenset[LossPart] = (
            frozenset({"attribution_spans"})
            if self._tokens
            else frozenset(AXES[number] for number in self._columns)
        )
        """The parts of the loss that it has labels for."""
        independent = model.config.problem_type == "multi_label_classification"
        self._independent = independent or len(labels) == 1

    def __call__(self, window: WindowFeatures) -> tuple[Floats, Floats]:
        """Segment logits (t, 3) and span logits (t, 8) of one window."""
        ids = torch.from_numpy(window.input_ids)[None]
        with torch.inference_mode():
            logits = self._model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
        size = len(window.input_ids)
        segments = np.full((size, len(AXES)), np.nan, dtype=np.float32)
        spans = np.full((size, len(SPAN_LOGITS)), np.nan, dtype=np.float32)
        for number, column in self._columns.items():
            if self._tokens:
                spans[:, number] = logits[:, column].float().numpy()
            else:
                segments[:, number] = self._odds(logits.float(), column)
        return segments, spans

    def _odds(self, logits: torch.Tensor, column: int) -> float:
        """The logit of one label's probability."""
        if self._independent:
            return float(logits[column])
        others = torch.cat([logits[:column], logits[column + 1 :]])
        return float(logits[column] - torch.logsumexp(others, 0))


def load_classifier(folder: Path) -> tuple[Featurizer, ClassifierNetwork]:
    """A classifier and the featurizer that lays one segment out as it expects.

    Raises:
        TeacherError: if it cannot be loaded, has no fast tokenizer or too few positions, or its
            labels do not fit.
    """
    from transformers import (
        AutoModelForSequenceClassification,
        AutoModelForTokenClassification,
        AutoTokenizer,
    )

    kind = _kind(folder) or ""
    loader: Any = (
        AutoModelForTokenClassification
        if kind == "ForTokenClassification"
        else AutoModelForSequenceClassification
    )
    try:
        model = loader.from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        longest = _longest(model)
        featurizer = Featurizer(
            tokenizer.backend_tokenizer,
            FeatureConfig(
                max_tokens=longest,
                overlap=min(OVERLAP, longest // 4),
                cls_token=tokenizer.cls_token,
                sep_token=tokenizer.sep_token,
                token_types=False,
            ),
        )
    except TeacherError:
        raise
    except Exception as error:  # the libraries below raise whatever their own libraries raise
        raise TeacherError(
            f"expected a classifier with config.json, weights and a fast tokenizer "
            f"({type(error).__name__}: {first_line(error)})"
        ) from error
    sha = hashlib.sha256((folder / "config.json").read_bytes())
    weights = [*folder.glob("*.safetensors")] or [*folder.glob("pytorch_model*.bin")]
    for path in sorted(weights):
        sha.update(sha256(path).encode())
    return featurizer, ClassifierNetwork(model, kind, sha.hexdigest())


def _longest(model: Any) -> int:
    """Tokens that a window may have, specials included."""
    positions = positions_of(model)
    if positions is None:
        positions = int(getattr(model.config, "max_position_embeddings", 0) or _MOST_TOKENS)
    if positions < _FEWEST_TOKENS:
        raise TeacherError(
            f"expected positions for {_FEWEST_TOKENS} tokens or more (max_position_embeddings in "
            f"its config.json), found {positions}"
        )
    return min(positions, _MOST_TOKENS)
