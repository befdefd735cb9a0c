"""A trained model on disk: ONNX weights, tokenizer, manifest. JSON and ONNX only.

    model.onnx  tokenizer.json  manifest.json  MODEL_CARD.md

The manifest carries everything that must agree between the weights and this package, and
`Artifact.open` refuses a directory in which something does not.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from framelens.errors import ArtifactError
from framelens.graph_file import positions_of
from framelens.model_settings import FEATURE_VERSION, DecodingConfig, FeatureConfig
from framelens.schema import (
    AXES,
    BIO_TAGS,
    LOADED_TAGS,
    SPAN_LOGITS,
    SPAN_TYPES,
    Axis,
    ModelInfo,
)
from framelens.values import number, string, whole_number
from framelens.windows import check_sizes

FORMAT_VERSION = 3
"""Version of the directory's layout and manifest; a newer one is refused.

Version 1 knew one threshold for loaded words instead of transitions and thresholds of spans;
before version 3, no axis had an offset for all segments.
"""
_READABLE = (1, 2, FORMAT_VERSION)

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
MANIFEST_FILE = "manifest.json"
CARD_FILE = "MODEL_CARD.md"
HASHED_FILES = (MODEL_FILE, TOKENIZER_FILE, CARD_FILE)

BUNDLED = Path(__file__).parent / "models"
"""Models that are installed with the package, one directory each."""
DEFAULT_MODEL = "news-en"
MODELS_GROUP = "framelens.models"
"""Entry points by which other distributions offer models."""


@dataclass(frozen=True, slots=True)
class Golden:
    """An input whose answer is known: labels and scores of its segments, in order."""

    text: str
    headline: str | None
    labels: tuple[str, ...]
    scores: tuple[tuple[float, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """The example as it stands in a manifest."""
        return {
            "text": self.text,
            "headline": self.headline,
            "labels": list(self.labels),
            "scores": [list(row) for row in self.scores],
        }


@dataclass(frozen=True, slots=True)
class Manifest:
    """What travels with the weights."""

    name: str
    version: str
    encoder: str
    precision: str
    features: FeatureConfig
    decoding: DecodingConfig
    files: Mapping[str, str] = field(default_factory=dict)
    """sha256 of each file."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Run id, corpora with digests and licences, metrics."""
    golden: Sequence[Golden] = ()
    golden_tolerance: float = 0.1
    """Largest allowed difference of a golden score: int8 arithmetic differs between CPUs."""

    def to_dict(self) -> dict[str, Any]:
        """The manifest as it is written."""
        return {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "version": self.version,
            "encoder": self.encoder,
            "precision": self.precision,
            "labels": {"axes": list(AXES), "span_logits": list(SPAN_LOGITS)},
            "features": self.features.to_dict(),
            "decoding": self.decoding.to_dict(),
            "files": dict(self.files),
            "training": dict(self.training),
            "golden": [example.to_dict() for example in self.golden],
            "golden_tolerance": self.golden_tolerance,
        }


@dataclass(frozen=True, slots=True)
class Artifact:
    """A checked model directory; `path` is absolute, for processes that work elsewhere."""

    path: Path
    manifest: Manifest
    info: ModelInfo

    @property
    def model(self) -> Path:
        """The ONNX graph."""
        return self.path / MODEL_FILE

    @property
    def tokenizer(self) -> Path:
        """The tokenizer."""
        return self.path / TOKENIZER_FILE

    @classmethod
    def open(cls, path: Path) -> Artifact:
        """Read and check a model directory.

        Raises:
            ArtifactError: if a file is missing or altered, the manifest's format, label order or
                feature version is not the one that this package speaks, or its windows are
                longer than the graph can read. The message says what was expected, what was
                found, and what to do.
        """
        if not path.is_dir():
            raise ArtifactError(
                f"expected a model directory at {path}, found "
                f"{'a file' if path.exists() else 'nothing'}; give the directory that a training "
                f"run exported (it holds {MANIFEST_FILE} and {MODEL_FILE}), or the name of a "
                f"model that is installed: {', '.join(_names()) or 'none is'}"
            )
        raw = _read(path / MANIFEST_FILE)
        try:
            row = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"{path / MANIFEST_FILE} is not JSON: {error}") from error
        _check_version(path, row)
        _check_labels(path, row)
        try:
            manifest = _parse_manifest(row)
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise ArtifactError(
                f"{path / MANIFEST_FILE} is incomplete or malformed ({type(error).__name__}: "
                f"{error}); export the model again"
            ) from error
        check_files(path, manifest.files)
        _check_windows(path, manifest.features)
        info = ModelInfo(manifest.name, manifest.version, hashlib.sha256(raw).hexdigest())
        return cls(path.resolve(), manifest, info)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest of a directory whose other files are complete, hashing them."""
    files = {name: sha256(path / name) for name in HASHED_FILES}
    row = {**manifest.to_dict(), "files": files}
    text = json.dumps(row, ensure_ascii=False, indent=1) + "\n"
    (path / MANIFEST_FILE).write_text(text, encoding="utf-8")


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def resolve(model: str | Path | None) -> Path:
    """The directory that a model's name stands for.

    `None` is the bundled default; a name without a separator may be a bundled model, or one
    that another distribution offers (`framelens-news-en-fast`), unless a model lies in a directory
    of that name here; a `models:/` or `runs:/` URI is fetched through MLflow (extra `mlflow`) into
    the cache; everything else is a directory.

    Raises:
        ArtifactError: if nothing is found under that name, or it is empty.
    """
    if model is None:
        path = BUNDLED / DEFAULT_MODEL
        if not path.is_dir():
            raise ArtifactError(
                f"no model was named, and the default {DEFAULT_MODEL!r} is not bundled with this "
                "installation; give the directory of a model (framelens-train run writes one)"
            )
        return path
    name = str(model)
    if not name:  # as an unset variable of a shell gives
        raise ArtifactError("expected a model's name, directory or URI, found an empty one")
    if name.startswith(("models:/", "runs:/")):
        from framelens.downloads import download

        return download(name)
    path = Path(model)
    # An output or a corpus may well be called like the model.
    if path.name != name or (path / MANIFEST_FILE).is_file():
        return path
    return BUNDLED / name if (BUNDLED / name).is_dir() else _installed(name) or path


def _installed(name: str) -> Path | None:
    """The model that another distribution offers under a name, by an entry point.

    The entry point, in the group `framelens.models`, names a package; the model is the folder
    `model` in it.
    """
    from importlib import metadata, util

    for entry in metadata.entry_points(group=MODELS_GROUP, name=name):
        found = util.find_spec(entry.module)
        for place in (found.submodule_search_locations or ()) if found else ():
            if (folder := Path(place) / "model").is_dir():
                return folder
    return None


def _names() -> list[str]:
    """The models that are bundled, and those that other distributions offer."""
    from importlib import metadata

    offered = {entry.name for entry in metadata.entry_points(group=MODELS_GROUP)}
    bundled = {path.parent.name for path in BUNDLED.glob(f"*/{MANIFEST_FILE}")}
    return sorted(bundled | set(filter(_installed, offered)))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        inner = path.parent / "model"
        advice = (
            f"the model of this run is {inner}"
            if (inner / path.name).is_file()
            else "the directory is not a framelens model, or its export was interrupted"
        )
        raise ArtifactError(
            f"expected {path.name} in {path.parent}, found none; {advice}"
        ) from None


def _check_version(path: Path, row: Any) -> None:
    found = row.get("format_version") if isinstance(row, dict) else None
    if found not in _READABLE:
        newer = isinstance(found, int) and found > FORMAT_VERSION
        advice = "upgrade framelens" if newer else "export the model again with this version"
        raise ArtifactError(
            f"{path / MANIFEST_FILE}: expected format version {FORMAT_VERSION}, found {found!r}; "
            f"{advice}"
        )
    features = row.get("features")
    version = features.get("version") if isinstance(features, dict) else None
    if version != FEATURE_VERSION:
        newer = isinstance(version, int) and version > FEATURE_VERSION
        advice = "upgrade framelens" if newer else "train and export the model again"
        raise ArtifactError(
            f"{path / MANIFEST_FILE}: expected feature version {FEATURE_VERSION}, found "
            f"{version!r}; the model would read other features than it was trained on: {advice}"
        )


def _check_labels(path: Path, row: Mapping[str, Any]) -> None:
    expected = {"axes": list(AXES), "span_logits": list(SPAN_LOGITS)}
    if row.get("labels") != expected:
        raise ArtifactError(
            f"{path / MANIFEST_FILE}: expected the label order {expected}, found "
            f"{row.get('labels')!r}; the model's outputs would be misread: "
            "use the version of framelens that it was exported with"
        )


def _check_windows(path: Path, features: FeatureConfig) -> None:
    positions = positions_of(path / MODEL_FILE)
    if positions is not None and features.max_tokens > positions:
        raise ArtifactError(
            f"{path / MANIFEST_FILE}: expected max_tokens of at most {positions}, which is all "
            f"that {MODEL_FILE} has positions for, found {features.max_tokens}; copy the manifest "
            "that was exported with it, or export the model again"
        )


def check_files(path: Path, files: Mapping[str, str]) -> None:
    """Make sure that a model's files are there, and have the hashes of its manifest.

    Raises:
        ArtifactError: naming the first that is not or has not.
    """
    for name in HASHED_FILES:
        target = path / name
        if not target.is_file():
            raise ArtifactError(f"expected {name} in {path}, found none; copy the model again")
        found = sha256(target)
        if found != files.get(name):
            raise ArtifactError(
                f"{target}: expected sha256 {files.get(name)}, found {found}; the file was changed "
                "or damaged after the export: copy the model again"
            )


def _table(rows: Sequence[Sequence[float]], size: int) -> tuple[tuple[float, ...], ...]:
    table = tuple(tuple(number(value) for value in row) for row in rows)
    if table and (len(table) != size or any(len(row) != size for row in table)):
        raise ValueError(f"expected transitions of shape ({size}, {size})")
    return table


def _loaded_transitions(decoding: Mapping[str, Any]) -> Sequence[Sequence[float]]:
    """As they stand there, or as a threshold of words (version 1) comes to."""
    if "loaded_threshold" not in decoding:
        rows: Sequence[Sequence[float]] = decoding["loaded_transitions"]
        return rows
    threshold = number(decoding["loaded_threshold"])
    inside = math.log((1 - threshold) / threshold)
    return ((0.0, inside, 0.0), (0.0, 0.0, inside), (0.0, 0.0, inside))


def _offsets(given: Mapping[str, float]) -> dict[Axis, float]:
    return {axis: number(given.get(axis, 0.0)) for axis in AXES}


def _temperatures(given: Mapping[str, float]) -> dict[Axis, float]:
    found = {axis: number(given[axis]) for axis in AXES}
    if min(found.values()) <= 0:
        raise ValueError(f"expected temperatures above 0, found {found}")
    return found


def _share(given: float) -> float:
    value = number(given)
    if not 0 <= value <= 1:
        raise ValueError(f"expected thresholds from 0 to 1, found {value}")
    return value


def _features(given: Mapping[str, Any]) -> FeatureConfig:
    config = FeatureConfig(**{key: value for key, value in given.items() if key != "version"})
    if not isinstance(config.token_types, bool):
        raise TypeError(f"expected token_types true or false, found {config.token_types!r}")
    config = replace(
        config,
        max_tokens=whole_number(config.max_tokens),
        overlap=whole_number(config.overlap),
        cls_token=string(config.cls_token),
        sep_token=string(config.sep_token),
    )
    check_sizes(config.max_tokens, config.overlap)
    return config


def _golden(given: Mapping[str, Any]) -> Golden:
    headline = given["headline"]
    return Golden(
        text=string(given["text"]),
        headline=None if headline is None else string(headline),
        labels=tuple(map(string, given["labels"])),
        scores=tuple(tuple(map(number, scores)) for scores in given["scores"]),
    )


def _parse_manifest(row: Mapping[str, Any]) -> Manifest:
    decoding = row["decoding"]
    return Manifest(
        name=string(row["name"]),
        version=string(row["version"]),
        encoder=string(row["encoder"]),
        precision=string(row["precision"]),
        features=_features(row["features"]),
        decoding=DecodingConfig(
            temperatures=_temperatures(decoding["temperatures"]),
            offsets=_offsets(decoding.get("offsets", {})),
            headline_offsets=_offsets(decoding.get("headline_offsets", {})),
            thresholds={axis: _share(decoding["thresholds"][axis]) for axis in AXES},
            uncertain_band=_share(decoding["uncertain_band"]),
            span_thresholds={
                kind: _share(decoding.get("span_thresholds", {}).get(kind, 0.5))
                for kind in SPAN_TYPES
            },
            transitions=_table(decoding.get("transitions", ()), len(BIO_TAGS)),
            loaded_transitions=_table(_loaded_transitions(decoding), len(LOADED_TAGS)),
        ),
        files=dict(row["files"]),
        training=dict(row["training"]),
        golden=tuple(map(_golden, row["golden"])),
        golden_tolerance=number(row["golden_tolerance"]),
    )
