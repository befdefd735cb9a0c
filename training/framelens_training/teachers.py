"""Trained models as teachers: a run's torch weights, an artifact, or a Hugging Face classifier.

A teacher reads texts with its own tokenizer and answers for segments and words, so that it need
not share anything with its student but the labels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import load_file

from framelens.artifact import MANIFEST_FILE, Artifact, resolve, sha256
from framelens.decoding import Floats, merge_windows
from framelens.errors import FramelensError
from framelens.features import DocumentFeatures, FeatureConfig, Featurizer
from framelens.network import Network
from framelens_training.alignment import WordAnswers, limited, word_answers
from framelens_training.config import LOSS_PARTS, Config, LossPart
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.encoder import Encoder, load_architecture, load_encoder
from framelens_training.environment import usable_cores
from framelens_training.errors import EncoderError, RegistryError, TeacherError
from framelens_training.huggingface_teacher import is_classifier, load_classifier
from framelens_training.model import LossConfig, SegmentSpanModel, TorchNetwork
from framelens_training.model_registry import noted_texts
from framelens_training.predictions import NetworkLike
from framelens_training.run_weights import (
    ARCHITECTURE,
    CHECKPOINTS,
    RUN_ID,
    STATE,
    WEIGHTS,
    best_checkpoint,
    checkpoints_of,
    heads_of,
    only_run,
    run_of_id,
)
from framelens_training.seen_texts import Fingerprints, read_seen
from framelens_training.targets import role_of

_DOCUMENTS = 256
"""Documents whose windows are sorted by length together."""


class Teacher(Protocol):
    """A model that has answers for segments and words."""

    @property
    def name(self) -> str:
        """What the config calls it."""

    @property
    def digest(self) -> str:
        """sha256 over everything that its answers depend on, the text aside."""

    @property
    def learnt(self) -> frozenset[LossPart]:
        """Parts of the loss on which it is heard."""

    @property
    def seen(self) -> Fingerprints | None:
        """Fingerprints of the texts that it has learnt from, if that is known."""

    def answer(self, documents: Sequence[LabelledDocument]) -> Iterator[list[WordAnswers]]:
        """The answers for each document's segments, in the context in which serving reads them."""


@dataclass(frozen=True, slots=True)
class NetworkTeacher:
    """An exported model or a classifier, run window by window as serving does.

    `alone` shows it each segment without company, for models that know nothing else. It is heard
    on the parts that it learnt.
    """

    name: str
    digest: str
    featurizer: Featurizer
    network: NetworkLike
    alone: bool = False
    learnt: frozenset[LossPart] = frozenset(LOSS_PARTS)
    seen: Fingerprints | None = None

    def answer(self, documents: Sequence[LabelledDocument]) -> Iterator[list[WordAnswers]]:
        """The answers for each document's segments."""
        for document in documents:
            texts = [document.segment_text(segment) for segment in document.segments]
            roles = [role_of(segment) for segment in document.segments]
            if self.alone:
                parts = [[pair] for pair in zip(texts, roles, strict=True)]
            else:
                parts = [list(zip(texts, roles, strict=True))]
            found: list[WordAnswers] = []
            for part in parts:
                features = self.featurizer.featurize([t for t, _ in part], [r for _, r in part])
                outputs = [self.network(window) for window in features.windows]
                found += _answers(features, outputs)
            yield [limited(answers, self.learnt) for answers in found]


@dataclass(frozen=True, slots=True)
class TorchTeacher:
    """Torch weights of a run, in batches; a student can be cut out of them.

    It is heard on the parts that it learnt, or on fewer: its other heads are as they began. All
    that it learnt stands in its encoder.
    """

    name: str
    digest: str
    featurizer: Featurizer
    encoder: Encoder
    model: SegmentSpanModel
    bf16: bool = False
    learnt: frozenset[LossPart] = frozenset(LOSS_PARTS)
    seen: Fingerprints | None = None

    def answer(self, documents: Sequence[LabelledDocument]) -> Iterator[list[WordAnswers]]:
        """The answers for each document's segments."""
        for start in range(0, len(documents), _DOCUMENTS):
            batch = [featurize(d, self.featurizer) for d in documents[start : start + _DOCUMENTS]]
            windows = [window for item in batch for window in item.windows]
            outputs = TorchNetwork(self.model, self.bf16).many(windows)
            first = 0
            for features in batch:
                last = first + len(features.windows)
                answers = _answers(features, outputs[first:last])
                yield [limited(item, self.learnt) for item in answers]
                first = last


KnownTeacher = NetworkTeacher | TorchTeacher


def featurize(document: LabelledDocument, featurizer: Featurizer) -> DocumentFeatures:
    """Features of a document's segments, without targets."""
    return featurizer.featurize(
        [document.segment_text(segment) for segment in document.segments],
        [role_of(segment) for segment in document.segments],
    )


def _answers(
    features: DocumentFeatures, outputs: Sequence[tuple[Floats, Floats]]
) -> list[WordAnswers]:
    """What a network said of a document's windows, also of their first words, at its words."""
    return word_answers(features, merge_windows(features, outputs, joins_spans=False))


def load_teachers(config: Config) -> list[Teacher]:
    """Every teacher of a config.

    Raises:
        TeacherError: naming each that is not to be had or does not fit, and why.
    """
    teachers: list[Teacher] = []
    problems: list[str] = []
    for name in config.teacher:
        try:
            teachers.append(_heard(load_teacher(name, config), config.distillation.heard_on))
        except (TeacherError, EncoderError, RegistryError, FramelensError) as error:
            problems.append(f"teacher {name!r}: {error}")
    if problems:
        raise TeacherError("\n".join(problems))
    return teachers


def _heard(teacher: KnownTeacher, heard_on: Mapping[str, Sequence[LossPart]]) -> Teacher:
    """A teacher that is silent on all but what the config wants to hear of it.

    Raises:
        TeacherError: if it never learnt any of that.
    """
    if teacher.name not in heard_on:
        return teacher
    parts = teacher.learnt.intersection(heard_on[teacher.name])
    if not parts:
        raise TeacherError(
            f"expected a part that it learnt ({', '.join(sorted(teacher.learnt))}) in "
            f"distillation.heard_on, found {', '.join(heard_on[teacher.name]) or 'none'}"
        )
    digest = hashlib.sha256(f"{teacher.digest} {sorted(parts)}".encode()).hexdigest()
    return replace(teacher, learnt=parts, digest=digest)


def load_teacher(name: str, config: Config) -> KnownTeacher:
    """One teacher, by what stands under its name.

    Raises:
        TeacherError: if nothing that can teach stands there, or its weights do not fit.
    """
    folder = Path(name).expanduser()
    if RUN_ID.fullmatch(name):
        folder = run_of_id(name, Path(config.output)) or folder
        if not folder.is_dir():
            return _artifact(name, f"runs:/{name}/model", config)
    elif name.startswith(("runs:/", "models:/")):
        return _artifact(name, name, config)
    folder = only_run(folder)
    if (folder / MANIFEST_FILE).is_file():
        return _artifact(name, folder, config)
    if checkpoints_of(folder):
        return _torch(name, folder, best_checkpoint(folder), config)
    if is_classifier(folder):  # also one that Hugging Face's Trainer has left as a checkpoint
        featurizer, network = load_classifier(folder)
        digest = _digest(network.digest, featurizer.tokenizer_json(), featurizer.config)
        return NetworkTeacher(name, digest, featurizer, network, alone=True, learnt=network.learnt)
    if (folder / WEIGHTS).is_file() and (folder / STATE).is_file():
        return _torch(name, folder.parent.parent, folder, config)
    if (folder / "model" / MANIFEST_FILE).is_file():
        return _artifact(name, folder / "model", config)
    found = ", ".join(sorted(p.name for p in folder.iterdir())) if folder.is_dir() else "nothing"
    raise TeacherError(
        f"expected a run's folder (with {CHECKPOINTS}/ or model/), an artifact (with "
        f"{MANIFEST_FILE}), a directory of a Hugging Face classifier, an MLflow run id, or a "
        f"runs:/ or models:/ URI; found {found[:200] or 'an empty folder'}"
    )


def _artifact(name: str, place: str | Path, config: Config) -> NetworkTeacher:
    if isinstance(place, str):
        from framelens_training.tracking_store import make_current, tracking_uri

        make_current(tracking_uri(config))
    artifact = Artifact.open(resolve(place))
    learnt = frozenset(artifact.manifest.training.get("learnt", LOSS_PARTS))
    return NetworkTeacher(
        name,
        artifact.info.sha256,
        Featurizer.from_file(artifact.tokenizer, artifact.manifest.features),
        Network(artifact.model, config.threads or usable_cores()),
        learnt=learnt,
        seen=noted_texts(str(place), artifact),
    )


def _torch(name: str, folder: Path, checkpoint: Path, config: Config) -> TorchTeacher:
    if (folder / ARCHITECTURE).is_dir():
        encoder, features, learnt = load_architecture(folder / ARCHITECTURE)
    else:  # a run of another tool, or of before runs kept this: it should be of this encoder
        encoder, learnt = load_encoder(config.encoder), frozenset(LOSS_PARTS)
        features = encoder.feature_config(config.windows)
    model = SegmentSpanModel(encoder.module, 0.0, LossConfig({}, {}))
    weights = checkpoint / WEIGHTS
    _load_weights(model, weights, encoder)
    model.eval()
    if torch.cuda.is_available():
        model.to("cuda")
    heads = heads_of(model.state_dict())
    featurizer = Featurizer(encoder.tokenizer, features)
    bf16 = config.training.precision == "bf16"
    how = f"bf16={bf16}, learnt={sorted(learnt)}"
    digest = _digest(sha256(weights), featurizer.tokenizer_json(), features, how)
    return TorchTeacher(
        name,
        digest,
        featurizer,
        replace(encoder, heads=heads, learnt=learnt),
        model,
        bf16,
        learnt,
        read_seen(folder),
    )


def _load_weights(model: SegmentSpanModel, weights: Path, encoder: Encoder) -> None:
    found, expected = load_file(weights), model.state_dict()
    problems = [f"lacks {key}" for key in expected if key not in found]
    problems += [f"has {key}, which the model has not" for key in found if key not in expected]
    problems += [
        f"{key} has the shape {tuple(found[key].shape)}, expected {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if key in found and found[key].shape != tensor.shape
    ]
    if problems:
        shown = "; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" * (len(problems) > 3))
        raise TeacherError(
            f"{weights} does not fit a segment and span model around {encoder.name!r}: {shown}. "
            "Set 'encoder' to the one that it was trained with, or give the run's artifact"
        )
    model.load_state_dict(found)


def _digest(weights: str, tokenizer: str, features: FeatureConfig, *more: str) -> str:
    sha = hashlib.sha256(weights.encode())
    for part in (tokenizer, json.dumps(features.to_dict()), *more):
        sha.update(f"{len(part)} ".encode())
        sha.update(part.encode())
    return sha.hexdigest()
