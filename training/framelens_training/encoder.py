"""Finding an encoder and its tokenizer: packaged, of a run, in a directory, or on a hub."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from framelens.artifact import MANIFEST_FILE, TOKENIZER_FILE, Artifact, resolve
from framelens.features import FeatureConfig, Featurizer
from framelens.model_settings import FEATURE_VERSION
from framelens_training.config import LOSS_PARTS, LossPart, Windows
from framelens_training.errors import EncoderError, first_line
from framelens_training.model import LossConfig, SegmentSpanModel
from framelens_training.packaged_encoders import PACKAGED, packaged_folder
from framelens_training.run_weights import (
    ARCHITECTURE,
    INNER,
    WEIGHTS,
    best_checkpoint,
    checkpoints_of,
    heads_of,
    only_run,
)

_FEATURES_FILE = "features.json"
_READABLE = {"model_type": "bert", "hidden_act": "gelu"}
"""The encoders whose exported weights `framelens_training.artifact_weights` reads."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """A loaded encoder: the torch module without its pooler, and its fast tokenizer."""

    name: str
    module: Any
    tokenizer: Tokenizer
    cls_token: str
    sep_token: str
    heads: Mapping[str, Any] | None = None
    """Tensors that the model's heads start from, by name; otherwise they start at random."""
    learnt: frozenset[LossPart] = frozenset()
    """What those heads have learnt already."""

    @property
    def hidden_size(self) -> int:
        """Width of a token's representation."""
        return int(self.module.config.hidden_size)

    def feature_config(self, windows: Windows) -> FeatureConfig:
        """How text becomes features for this encoder.

        Raises:
            EncoderError: if it has no positions for windows of this size.
        """
        positions = positions_of(self.module)
        if positions is not None and windows.max_tokens > positions:
            raise EncoderError(
                f"windows.max_tokens: expected at most {positions}, which is all that the encoder "
                f"{self.name!r} has positions for, found {windows.max_tokens}; use smaller windows "
                "or an encoder for longer texts"
            )
        types = int(getattr(self.module.config, "type_vocab_size", 0) or 0)
        return FeatureConfig(
            max_tokens=windows.max_tokens,
            overlap=windows.overlap,
            cls_token=self.cls_token,
            sep_token=self.sep_token,
            token_types=types >= 2,
        )

    def featurizer(self, windows: Windows) -> Featurizer:
        """The featurizer that training and the exported model share.

        Raises:
            EncoderError: if the encoder has no positions for windows of this size.
        """
        return Featurizer(self.tokenizer, self.feature_config(windows))


def load_encoder(name: str, *, dropout: float = 0.0) -> Encoder:
    """Load an encoder by packaged name, a run's folder, an artifact, another directory or hub name.

    A run's encoder comes with the weights that it ended with (or has come to), heads included, and
    so does an artifact's. They are float32, in whatever precision they are stored.

    Raises:
        EncoderError: if it is none of these, or has no fast tokenizer.
    """
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    run = only_run(Path(name).expanduser())
    if checkpoints_of(run):
        return _of_run(run, dropout)
    if (artifact := artifact_folder(name)) is not None:
        return _of_artifact(name, artifact, dropout)
    source = _source(name)
    try:
        settings = AutoConfig.from_pretrained(source)
        _set_dropout(settings, dropout)
        module = AutoModel.from_pretrained(
            source, config=settings, dtype=torch.float32, **without_pooler(settings)
        )
        tokenizer = AutoTokenizer.from_pretrained(source)
    except EncoderError:
        raise
    except Exception as error:  # the libraries below raise whatever their own libraries raise
        raise EncoderError(
            f"encoder {name!r}: neither a packaged encoder ({', '.join(PACKAGED)}), nor a local "
            f"directory, nor reachable on a hub ({type(error).__name__}: {first_line(error)}). "
            "Give the path of a directory with config.json, model.safetensors and "
            "tokenizer.json, of a run or an artifact, or use 'encoder: minilm-l6', which needs "
            "no download"
        ) from error
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or not tokenizer.cls_token or not tokenizer.sep_token:
        raise EncoderError(
            f"encoder {name!r}: expected a fast tokenizer with a cls and a sep token, found "
            f"{type(tokenizer).__name__}; convert it to a tokenizer.json first"
        )
    # A copy: the caller's tokenizer keeps its own truncation and padding.
    own = Tokenizer.from_str(backend.to_str())
    return Encoder(name, module, own, tokenizer.cls_token, tokenizer.sep_token)


_DROPOUT = (
    *("hidden_dropout_prob", "attention_probs_dropout_prob"),  # BERT and its kin
    *("dropout", "attention_dropout", "embedding_dropout", "mlp_dropout"),  # DistilBERT, ModernBERT
)


def _set_dropout(settings: Any, dropout: float) -> None:
    """Set the dropout inside an encoder.

    Raises:
        EncoderError: if one is wanted, and it is not known how the encoder calls it.
    """
    names = [name for name in _DROPOUT if hasattr(settings, name)]
    if dropout and not names:
        raise EncoderError(
            f"training.encoder_dropout: expected 0 for an encoder of type {settings.model_type!r}, "
            f"whose dropout is not known by any name of {', '.join(_DROPOUT)}, found {dropout}"
        )
    for name in names:
        setattr(settings, name, dropout)


def all_weights(encoder: Encoder) -> dict[str, Any]:
    """The tensors of an encoder, and of its heads if it has any, by their names in the model."""
    inner = {f"{INNER}{name}": value for name, value in encoder.module.state_dict().items()}
    return {**inner, **(encoder.heads or {})}


def architecture_of(encoder: Encoder) -> dict[str, Any]:
    """What a manifest notes of an encoder, to tell whether its weights can be read back."""
    return {name: getattr(encoder.module.config, name, None) for name in _READABLE}


def artifact_folder(name: str) -> Path | None:
    """The folder of the artifact that an encoder's name stands for, such as a model that ships."""
    if name in PACKAGED or "://" in name:
        return None
    folder = resolve(Path(name).expanduser())
    return folder if (folder / MANIFEST_FILE).is_file() else None


def _of_artifact(name: str, folder: Path, dropout: float) -> Encoder:
    from transformers import AutoModel

    from framelens_training.artifact_weights import (
        MOST_DIFFERENCE,
        difference_from_graph,
        read_weights,
    )

    artifact = Artifact.open(folder)
    features = artifact.manifest.features
    instead = "go on from the run's folder that it came from instead"
    noted = artifact.manifest.training.get("architecture", _READABLE)
    if noted != _READABLE:
        raise EncoderError(
            f"encoder {name!r}: expected an artifact of an encoder with {_READABLE}, whose weights "
            f"can be read back, found one with {noted}; {instead}"
        )
    settings, state = read_weights(artifact.model)
    _set_dropout(settings, dropout)
    module = AutoModel.from_config(  # type: ignore[no-untyped-call]
        settings, **without_pooler(settings)
    )
    model = SegmentSpanModel(module, 0.0, LossConfig({}, {}))
    try:
        model.load_state_dict(state)
    except RuntimeError as error:  # torch names all that does not fit
        raise EncoderError(
            f"encoder {name!r}: {artifact.model} does not hold the weights of a BERT encoder "
            f"({error}); {instead}"
        ) from error
    difference = difference_from_graph(model, artifact)
    if not difference <= MOST_DIFFERENCE:
        raise EncoderError(
            f"encoder {name!r}: expected {artifact.model} to answer as a BERT encoder with its "
            f"weights does, found logits that differ by {difference:.2f} of their spread; {instead}"
        )
    return Encoder(
        f"{artifact.manifest.name} {artifact.manifest.version}",
        module,
        Tokenizer.from_file(str(artifact.tokenizer)),
        features.cls_token,
        features.sep_token,
        heads_of(state),
        frozenset(artifact.manifest.training.get("learnt", LOSS_PARTS)),
    )


def _of_run(folder: Path, dropout: float) -> Encoder:
    encoder, _, learnt = load_architecture(folder / ARCHITECTURE, dropout=dropout)
    weights = best_checkpoint(folder) / WEIGHTS
    try:
        state = load_file(weights)
        encoder.module.load_state_dict(
            {n.removeprefix(INNER): t for n, t in state.items() if n.startswith(INNER)}
        )
    except Exception as error:  # safetensors and torch raise each their own
        raise EncoderError(
            f"{weights}: expected the weights of the encoder in {folder / ARCHITECTURE} "
            f"({type(error).__name__}: {first_line(error)})"
        ) from error
    return replace(encoder, heads=heads_of(state), learnt=learnt)


def save_architecture(
    encoder: Encoder, features: FeatureConfig, learnt: Sequence[LossPart], folder: Path
) -> None:
    """Write what a run's checkpoints do not hold: the encoder's shape, tokenizer and features,
    and for which parts of the loss the run had any answers to learn from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    encoder.module.config.save_pretrained(folder)
    encoder.tokenizer.save(str(folder / TOKENIZER_FILE), pretty=False)
    row = {"encoder": encoder.name, "learnt": list(learnt), **features.to_dict()}
    (folder / _FEATURES_FILE).write_text(json.dumps(row) + "\n", encoding="utf-8")


def load_architecture(
    folder: Path, *, dropout: float | None = None
) -> tuple[Encoder, FeatureConfig, frozenset[LossPart]]:
    """The encoder of `save_architecture`, with random weights, its features, and what it learnt.

    Raises:
        EncoderError: if a file is missing or damaged, or the features are another version's.
    """
    from transformers import AutoConfig, AutoModel

    try:
        row = json.loads((folder / _FEATURES_FILE).read_text(encoding="utf-8"))
        name, version = row.pop("encoder"), row.pop("version")
        learnt = frozenset(row.pop("learnt", LOSS_PARTS))
        features = FeatureConfig(**row)
        settings = AutoConfig.from_pretrained(folder)
        if dropout is not None:
            _set_dropout(settings, dropout)
        module = AutoModel.from_config(  # type: ignore[no-untyped-call]
            settings, **without_pooler(settings)
        )
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    except EncoderError:
        raise
    except Exception as error:  # the libraries below raise whatever their own libraries raise
        raise EncoderError(
            f"{folder}: expected an encoder's config.json, {TOKENIZER_FILE} and {_FEATURES_FILE}, "
            f"as a run writes them ({type(error).__name__}: {first_line(error)})"
        ) from error
    if version != FEATURE_VERSION:
        raise EncoderError(
            f"{folder}: expected feature version {FEATURE_VERSION}, found {version!r}; train the "
            "model again with this version"
        )
    encoder = Encoder(name, module, tokenizer, features.cls_token, features.sep_token)
    return encoder, features, learnt


def positions_of(module: Any) -> int | None:
    """Most tokens, specials included, that a network's table of positions has room for.

    None for one without a table, which computes positions, or how far tokens are apart.
    """
    for name, part in module.named_modules():
        if name.rpartition(".")[2] == "position_embeddings" and hasattr(part, "num_embeddings"):
            # RoBERTa and its kin begin to count positions after their padding token's id.
            unused = 0 if part.padding_idx is None else part.padding_idx + 1
            return int(part.num_embeddings) - unused
    return None


def without_pooler(settings: Any) -> dict[str, bool]:
    """Arguments that make a model of this configuration without the pooler that nothing reads."""
    return {"add_pooling_layer": False} if settings.model_type in _WITH_POOLER else {}


_WITH_POOLER = {"bert", "roberta", "xlm-roberta", "camembert", "mpnet", "electra-bert"}


def _source(name: str) -> str:
    if name not in PACKAGED:
        return str(Path(name).expanduser()) if Path(name).expanduser().is_dir() else name
    try:
        return str(packaged_folder(name))
    except ModuleNotFoundError as error:
        raise EncoderError(
            f"encoder {name!r}: the package {PACKAGED[name].replace('_', '-')!r}, which carries "
            "its weights, is not installed; install framelens-training with its dependencies"
        ) from error
