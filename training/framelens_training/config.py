"""The settings of a run: what can be set, of which type, in which range, and by default."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from framelens.windows import LARGEST_MAX_TOKENS, MAX_TOKENS, OVERLAP
from framelens_training.corpora import labelled

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
FromList = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
"""YAML has lists where a setting is a tuple."""
LossPart = labelled.Annotated
LOSS_PARTS = labelled.ANNOTATED
"""The loss has a part for each kind of answer that annotators can give."""
THRESHOLDS = tuple(percent / 100 for percent in range(2, 99))
"""The thresholds of an axis among which one is chosen."""
MOST_SEEDS = 2**32


class Strict(BaseModel):
    """A section of settings: unknown keys and values of another type are refused, and nan."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class CorpusUse(Strict):
    """One corpus of a run."""

    name: str
    """A name of `framelens-train corpora list`, or `files` for labelled documents of one's own."""
    files: dict[Literal["train", "validation", "test"], str] | None = None
    """For `files`: a file or folder of labelled documents for each split, in any format."""
    path: str | None = None
    """For `files`, instead of `files`: one file or folder, which `split` divides."""
    split: str | None = None
    """With `path`: a split file, as `framelens-train init` writes it."""
    split_sha256: str | None = None
    """With `split`: the sum of the split file, which pins it."""
    weight: Positive = 1.0
    """How often a window of this corpus is drawn, against one of weight 1."""
    evaluate: bool = True
    """Whether its validation and test splits count."""
    taught: Annotated[bool | tuple[LossPart, ...], FromList] = True
    """Whether teachers are asked about its training documents, or on which parts of the loss they
    are heard there; on all else only labels teach."""
    soft_labels: bool = False
    """Whether a training label is learnt as a probability, which is its confidence (`weights` of
    labelled documents): a yes of .7 as .7, a no of .7 as .3, before `training.balance`. Otherwise
    the label is learnt as it is, and its confidence is what it weighs in the loss."""

    @model_validator(mode="after")
    def _files_belong_to_files(self) -> Self:
        given = (self.files is not None) + (self.path is not None)
        if given != (self.name == "files"):
            raise ValueError(
                "expected 'files' (a file for each split), or 'path' and 'split', exactly when "
                "name is 'files'"
            )
        if (self.path is None) != (self.split is None):
            raise ValueError("expected 'path' and 'split' together: what is divided, and how")
        if self.split is None and self.split_sha256 is not None:
            raise ValueError("expected 'split' beside 'split_sha256'")
        return self


class LeftOut(Strict):
    """One of several parts of the training documents, which a run does not train on."""

    part: int = Field(ge=1)
    """Which one, counted from 1."""
    of: int = Field(ge=2)
    """How many parts there are: the same for every seed, grouped and stratified."""

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if self.part > self.of:
            raise ValueError(f"expected part from 1 to {self.of}, found {self.part}")
        return self


class Corpora(Strict):
    """Where labelled documents come from."""

    root: str | None = None
    """Folder of the public corpora; otherwise the environment's FRAMELENS_CORPORA."""
    use: Annotated[tuple[CorpusUse, ...], FromList] = Field(min_length=1)
    sampling_temperature: float = Field(default=1.0, ge=1)
    """Draws corpora by their size to the power of 1 over this, the total kept: 1 by size, the
    higher the more evenly. A corpus's `weight` comes on top."""
    left_out: LeftOut | None = None
    """A part of every corpus's training documents that this run does not see, for one of several
    teachers that shall answer for what they never learnt (`distillation.unseen`)."""

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [use.name for use in self.use if use.name != "files"]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"expected each corpus once, found twice: {', '.join(repeated)}")
        return self


class Windows(Strict):
    """How segments are packed for training."""

    max_tokens: int = Field(default=MAX_TOKENS, ge=16, le=LARGEST_MAX_TOKENS)
    overlap: int = Field(default=OVERLAP, ge=0)
    single_share: Share = 1.0
    """Share of an article's segments that are also shown alone, in windows of their own."""
    company_share: Share = 1.0
    """Share of lone labelled sentences that are also shown in company."""
    counterfactual_share: Share = 0.0
    """Share of the framed segments that an epoch also shows as what a source says, where they are
    not framed; of the others annotated for framing, a third of that share."""
    epithets: int = Field(default=0, ge=0)
    """Made pairs an epoch in which a source, and then the outlet itself, calls something by a
    loaded name."""
    typography_share: Share = 0.0
    """Share of the documents that an epoch shows in other typography: without the full stop of the
    last segment or of any, or with the other kind of quotation marks, where the tokenizer has a
    token for each of them."""
    parties_share: Share = 0.0
    """Share of the documents that an epoch shows with the parties of the United States exchanged,
    and some of their politicians, under the same labels."""

    @model_validator(mode="after")
    def _overlap_fits(self) -> Self:
        if self.overlap >= self.max_tokens - 2:
            raise ValueError("expected overlap < max_tokens - 2")
        return self


class MixedIn(Strict):
    """A model of the same shape that descends from the same weights, and its share in a mean."""

    model: str
    """A run's folder or an artifact."""
    share: Share


class Training(Strict):
    """Optimisation."""

    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16 computes matrix products in bfloat16 and keeps weights in float32: nearly twice the
    speed on GPUs and on CPUs with AVX512-BF16 or AMX, slower on other CPUs."""

    begin_with: MixedIn | None = None
    """Another model whose weights are mixed into those of `encoder` before the first step, for a
    training that goes on from two models that learnt different things (Wortsman et al. 2022,
    model soups)."""
    epochs: int = Field(default=4, ge=1)
    learning_rate: Positive = 1e-4
    head_learning_rate: Positive = 1e-3
    layer_decay: Share = 1.0
    """Factor on the learning rate of each layer below the one above it."""
    frozen_layers: int = Field(default=0, ge=0)
    """Layers of the encoder, counted from below, that stay as they are, and with them the
    embeddings: a third of a large encoder's layers saves a fifth of the time. With all of them the
    heads alone are trained (a linear probe, Alain and Bengio 2016), and an answer whose
    `loss_weights` is 0 stays what it was, if `weight_decay` is 0 too."""
    weight_decay: float = Field(default=0.01, ge=0)
    warmup_share: Share = 0.1
    batch_tokens: int = Field(default=1024, ge=32)
    """Most tokens in a batch of one process, padding included."""
    deterministic: bool = False
    """Whether GPUs give the same bits every time, at some cost in speed; CPUs always do."""
    accumulate: int = Field(default=1, ge=1)
    """Batches whose gradients are summed before a step, for batches that memory cannot hold."""
    dropout: Share = 0.1
    """Before the heads."""
    encoder_dropout: Share = 0.0
    """Inside the encoder; on a CPU, any above 0 costs nearly half of the speed."""
    max_gradient_norm: Positive = 1.0
    loss_weights: dict[LossPart, float] = Field(
        default_factory=lambda: dict.fromkeys(LOSS_PARTS, 1.0)
    )
    """How much each part counts in the loss; what is not named counts 1. A part is the mean over
    those positions of a batch that have an answer to it, so that one article among forty lone
    sentences counts as much by its tags as all of them by their framing."""
    tag_sequences: bool = False
    """Whether attribution tags are learnt as whole sequences, as they are decoded, and not word by
    word: a linear-chain CRF of allowed moves."""
    balance: bool = True
    """Weight each axis's rarer answer up, by the square root of the odds."""
    patience: int = Field(default=2, ge=1)
    """Evaluations without a better validation score before training stops."""
    evaluations_per_epoch: int = Field(default=1, ge=1)
    average: bool = False
    """Whether the mean of the weights at all evaluations is taken instead of the best step's."""
    average_from: int = Field(default=1, ge=1)
    """The first evaluation that the mean takes in, counted from 1."""
    average_start: Share = 0.0
    """The share in the mean of the weights that the training began with, for one that goes on
    from another run (Wortsman et al. 2022, WiSE-FT)."""
    average_with: MixedIn | None = None
    """Another model whose weights are mixed into the mean at the end, such as the version before
    the one that the training goes on from."""
    checkpoint_minutes: float = Field(default=5.0, ge=0)
    """Most minutes, about, that a killed process loses; checkpoints are also written at every
    evaluation, and at every log line if this is 0."""

    @model_validator(mode="after")
    def _is_averaged(self) -> Self:
        settings = ("average_from", "average_start", "average_with")
        given = [n for n in settings if getattr(self, n) != type(self).model_fields[n].default]
        if given and not self.average:
            raise ValueError(f"expected 'average: true' beside '{given[0]}'")
        most = self.last_of_mean(self.epochs * self.evaluations_per_epoch)
        if self.average_from > most:
            raise ValueError(
                f"expected 'average_from' of at most {most}, so that of the evaluations of "
                f"{self.epochs} epochs there are enough for a mean, found {self.average_from}"
            )
        return self

    def last_of_mean(self, evaluations: int) -> int:
        """The number of the last of these evaluations from which there are enough for a mean."""
        fewest = 1 if self.average_start or self.average_with else 2
        return max(evaluations - fewest + 1, 1)

    @field_validator("loss_weights")
    @classmethod
    def _complete(cls, value: dict[LossPart, float]) -> dict[LossPart, float]:
        if any(weight < 0 for weight in value.values()):
            raise ValueError("expected weights from 0 up")
        weights = {part: value.get(part, 1.0) for part in LOSS_PARTS}
        if not any(weights.values()):
            raise ValueError("expected a weight above 0: nothing would be learnt")
        return weights


class Distillation(Strict):
    """How a student learns from its teachers' answers."""

    alpha: Share = 0.5
    """Weight of the teachers' answers in the loss; the labels have the rest."""
    temperature: Positive = 2.0
    """Divides logits of both sides before they are compared (Hinton et al. 2015)."""
    heard_on: dict[str, Annotated[tuple[LossPart, ...], FromList]] = Field(default_factory=dict)
    """For a teacher by its name in `teacher`, the parts of the loss on which it is heard; any
    other is heard on all that its run learnt."""
    asked_about: dict[str, Annotated[tuple[str, ...], FromList]] = Field(default_factory=dict)
    """For a teacher by its name in `teacher`, the corpora of `corpora.use` about whose training
    documents and their changed copies it is asked, and about nothing else; any other is asked
    about all texts."""
    unseen: bool = False
    """Whether a document's answers come only from the teachers that were not trained on it, where
    there are such: what a teacher says of its own training documents is little more than their
    labels."""
    unlabelled: Annotated[tuple[str, ...], FromList] = ()
    """More text for the teachers to answer: names of corpora, of which the training split is
    read without its labels, and files with `text` and perhaps `headline` (JSONL, CSV, Parquet)."""
    unlabelled_weight: Positive = 1.0
    """How often a window of unlabelled text is drawn, against one of weight 1."""
    augmented: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """For a corpus by its name in `corpora.use`, how many changed copies of each of its training
    documents are made for the teachers to answer."""
    augmented_words: str | None = None
    """The encoder whose word embeddings tell which words may stand for each other; by default
    `encoder`. Students of several encoders that share it share the teachers' answers."""
    augmented_weight: Positive = 1.0
    """How often a window of changed copies is drawn, against one of weight 1."""

    @model_validator(mode="after")
    def _has_what_is_told_of(self) -> Self:
        for setting, texts in (
            ("unlabelled_weight", self.unlabelled),
            ("augmented_words", self.augmented),
            ("augmented_weight", self.augmented),
        ):
            if not texts and getattr(self, setting) != type(self).model_fields[setting].default:
                raise ValueError(f"expected '{setting.partition('_')[0]}' beside '{setting}'")
        return self


class Student(Strict):
    """A smaller network, cut out of its teacher's torch weights or out of the encoder."""

    layers: Annotated[
        Annotated[int, Field(ge=1)] | tuple[Annotated[int, Field(ge=0)], ...] | None, FromList
    ] = None
    """Which layers stay, counted from 0, or how many of them, evenly spread."""
    hidden_size: int | None = Field(default=None, ge=8)
    """Width of a token's representation: a multiple of the width of an attention head."""
    intermediate_size: int | None = Field(default=None, ge=8)
    """Width of the feed-forward layers; by default in proportion to `hidden_size`."""
    vocabulary: int | None = Field(default=None, ge=16)
    """How many word pieces stay: those most frequent in the training texts."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if isinstance(self.layers, tuple) and (
            not self.layers or list(self.layers) != sorted(set(self.layers))
        ):
            raise ValueError(f"expected layers as rising numbers, found {list(self.layers)}")
        return self


class Evaluation(Strict):
    """What is computed from validation and test data."""

    bootstrap_samples: int = Field(default=1000, ge=100)
    uncertain_band: Share = 0.1
    threshold_range: Annotated[tuple[Share, Share], FromList] = (0.2, 0.8)
    """A threshold tuned on few examples is kept within these, both included."""
    baseline: bool = True
    slice_minimum: int = Field(default=20, ge=1)
    """Fewest supervised segments of a slice that is reported."""
    worst_errors: int = Field(default=50, ge=1)

    @field_validator("threshold_range")
    @classmethod
    def _holds_a_threshold(cls, value: tuple[float, float]) -> tuple[float, float]:
        low, high = value
        if not any(low <= threshold <= high for threshold in THRESHOLDS):
            raise ValueError(
                f"expected [low, high] with a multiple of 0.01 from {THRESHOLDS[0]} to "
                f"{THRESHOLDS[-1]} in between"
            )
        return value


class Export(Strict):
    """What the artifact holds."""

    precision: Literal["int8", "fp32"] = "int8"
    parity_tolerance: Positive = 1e-4
    """Largest difference between a logit of torch and of fp32 ONNX."""


class Tracking(Strict):
    """MLflow."""

    experiment: str = "framelens"
    uri: str | None = None
    """Otherwise MLFLOW_TRACKING_URI, otherwise sqlite:///mlflow.db in the working directory."""
    registry: bool | None = None
    """Register the model as challenger of the config's name; by default, if the store can."""


NAME = r"^[a-z0-9][a-z0-9._-]*$"
"""What a model can be called, in MLflow's registry and as a folder."""


class Config(Strict):
    """A run."""

    name: str = Field(pattern=NAME)
    version: str = "0.1.0"
    seed: int = Field(default=13, ge=0, lt=MOST_SEEDS)
    encoder: str = "minilm-l6"
    """`minilm-l6` (packaged); a run's folder or an artifact, whose weights training goes on from
    (`news-en` is the model that ships); a directory of a Hugging Face encoder, or a hub name."""
    output: str = "runs"
    """Folder under which each run makes its own."""
    threads: int | None = Field(default=None, ge=1)
    """Threads for torch; by default every core this process may use."""
    corpora: Corpora
    windows: Windows = Windows()
    training: Training = Training()
    teacher: tuple[str, ...] = ()
    """Trained models that answer beside the labels: each a run's folder, an artifact, a directory
    of a Hugging Face classifier, an MLflow run id, or a `runs:/` or `models:/` URI. Of several,
    the mean of their logits is learnt."""
    distillation: Distillation = Distillation()
    student: Student | None = None
    evaluation: Evaluation = Evaluation()
    export: Export = Export()
    tracking: Tracking = Tracking()

    @field_validator("teacher", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        if isinstance(value, str):
            return (value,)
        return tuple(value) if isinstance(value, list) else () if value is None else value

    @model_validator(mode="after")
    def _is_mixed_whole(self) -> Self:
        if self.training.begin_with is not None and self.student is not None:
            raise ValueError(
                "expected no 'student' beside 'training.begin_with': what is cut out of two "
                "models does not correspond; mix in one training, and cut in the next"
            )
        return self

    @model_validator(mode="after")
    def _taught(self) -> Self:
        if self.distillation != Distillation() and not self.teacher:
            raise ValueError("expected 'teacher' beside 'distillation', found none")
        settings = self.distillation
        for key, names in (("heard_on", settings.heard_on), ("asked_about", settings.asked_about)):
            strangers = [name for name in names if name not in self.teacher]
            if strangers:
                raise ValueError(
                    f"distillation.{key}: expected names out of 'teacher' "
                    f"({', '.join(self.teacher)}), found {', '.join(strangers)}"
                )
        used = {use.name for use in self.corpora.use}
        unused = {name for names in settings.asked_about.values() for name in names} - used
        if unused:
            raise ValueError(
                f"distillation.asked_about: expected names out of corpora.use "
                f"({', '.join(sorted(used))}), found {', '.join(sorted(unused))}"
            )
        twice = [name for name in settings.unlabelled if name in used]
        if twice:
            raise ValueError(
                f"distillation.unlabelled: {', '.join(twice)} is in corpora.use already, whose "
                "texts the teachers answer anyway; leave it out of one of the two"
            )
        absent = [name for name in settings.augmented if name not in used]
        if absent:
            raise ValueError(
                f"distillation.augmented: expected names out of corpora.use "
                f"({', '.join(sorted(used))}), found {', '.join(absent)}"
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """The resolved configuration, defaults included, with only JSON types.

        This is what runs, records and models keep: without the credentials of a store.
        """
        row = self.model_dump(mode="json")
        if self.tracking.uri is not None:
            row["tracking"]["uri"] = without_credentials(self.tracking.uri)
        return row

    def digest(self) -> str:
        """sha256 of the resolved configuration."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def without_credentials(uri: str) -> str:
    """A store's URI that may be written down and shown: without the user and the password in it.

    A user alone goes as well: it may be a token.
    """
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


__all__ = ["LOSS_PARTS", "Config", "LossPart"]
