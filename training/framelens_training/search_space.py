"""What a sweep varies: a YAML file beside a run's config, checked against it before any work.

    config: ../quickstart.yaml          # relative to this file
    trials: 8
    space:
      training.learning_rate: {log_uniform: [3.0e-5, 5.0e-4]}
      training.batch_tokens: {choices: [512, 1024, 2048]}

A key is a setting of the run as `--set` names it. Each bound and each choice has to be a value
that the run's config would take.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, ValidationError

from framelens_training.config import NAME, Config, Strict
from framelens_training.errors import ConfigError
from framelens_training.settings_file import load_config, load_settings
from framelens_training.settings_text import flatten

Kind = Literal["uniform", "log_uniform", "integer", "choices"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Value = bool | int | float | str | None

_FIXED = {
    "name": "it says what a model is called",
    "version": "it says what a model is called",
    "seed": "luck is no setting; compare seeds with framelens-train crossval",
    "output": "it says where files go",
    "threads": "it changes the speed only",
    "corpora": "of the corpora, only their shares can be: corpora.use.0.weight",
    "teacher": "all trials learn from the same labels",
    "evaluation": "a score could not be compared with another trial's",
    "export": "no trial is exported",
    "tracking": "all trials are recorded in one place",
    "training.checkpoint_minutes": "it changes the speed only",
    **dict.fromkeys(
        (
            "training.average",
            "training.average_from",
            "training.average_start",
            "training.average_with",
        ),
        "a trial's score is that of its best step, not of a mean of weights",
    ),
    "training.evaluations_per_epoch": "pruning compares trials evaluation by evaluation",
}
"""Settings that no sweep may vary, and why; a section stands for all that is in it."""

_UNLEARNT: Mapping[str, tuple[float, ...]] = {
    "training.loss_weights": (0.0,),
    "distillation.alpha": (0.0, 1.0),
}
"""Values with which a trial learns less than others: of a section, or of a setting."""

_MIXTURE = re.compile(r"corpora\.(use\.\d+\.weight|sampling_temperature)")


class Pruning(Strict):
    """When a trial is given up: its best validation score so far is below the median of what
    the finished trials had after as many evaluations (Golovin et al. 2017, "Google Vizier").
    """

    startup_trials: int = Field(default=4, ge=1)
    """Trials that have to be complete before one is given up."""
    warmup_evaluations: int = Field(default=1, ge=0)
    """Evaluations of a trial after which it is not given up yet."""


class SweepSettings(Strict):
    """The file of a sweep."""

    config: str
    """The run's YAML file, relative to this one."""
    name: str | None = Field(default=None, pattern=NAME)
    """What the sweep is called; by default the run's name and `-sweep`."""
    trials: int = Field(default=20, ge=1)
    seed: int = Field(default=13, ge=0, lt=2**32)
    """Of the values that are tried; every trial trains with the run's own seed."""
    startup_trials: int = Field(default=8, ge=1)
    """Trials whose values are drawn at random, before earlier scores guide the draw."""
    pruning: Pruning | None = Pruning()
    """`null` trains every trial to its end."""
    space: dict[str, Any] = Field(min_length=1)
    """For each setting that is varied one of `uniform: [low, high]`, `log_uniform: [low, high]`,
    `integer: [low, high]` and `choices: [...]`; bounds are included."""


class _Space(BaseModel):
    """The parts of the file that are checked together, whatever else is wrong with it."""

    config: str
    space: dict[str, Any] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Dimension:
    """A setting that is varied; `values` are its two bounds or its choices."""

    key: str
    kind: Kind
    values: tuple[Value, ...]

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value of a dimension without choices."""
        low, high = self.values
        return float(low or 0), float(high or 0)

    def __str__(self) -> str:
        return f"{self.kind} {list(self.values)}"


@dataclass(frozen=True, slots=True)
class Sweep:
    """A run's config, and what is varied in it."""

    settings: SweepSettings
    base: Config
    space: tuple[Dimension, ...]

    @property
    def name(self) -> str:
        """What the sweep is called."""
        return self.settings.name or f"{self.base.name}-sweep"

    def config_of(self, values: Mapping[str, Value]) -> Config:
        """The run's config with these values.

        Raises:
            ConfigError: if they do not go together.
        """
        try:
            return with_values(self.base, values)
        except ValidationError as error:
            shown = ", ".join(f"{key}={value}" for key, value in values.items())
            raise ConfigError(shown, _messages(error)) from None

    def identity(self) -> dict[str, Any]:
        """What may not change when a sweep is continued, flat; the number of trials may."""
        base = self.base.to_dict()
        for key in ("output", "threads", "tracking"):
            base.pop(key)
        base["training"].pop("checkpoint_minutes")
        settings = self.settings.model_dump(mode="json", exclude={"config", "name", "trials"})
        return flatten({"sweep": settings, "config": base})


def with_values(config: Config, values: Mapping[str, Value]) -> Config:
    """A config with other values of some of its settings.

    Raises:
        ValidationError: if it does not take them.
        KeyError: if there is no such setting.
    """
    tree: Any = config.model_dump(mode="json")
    for key, value in values.items():
        *parents, last = key.split(".")
        place = tree
        for parent in parents:
            place = place[int(parent) if isinstance(place, list) else parent]
        if last not in place:
            raise KeyError(key)
        place[last] = value
    return Config.model_validate(tree)


def load_sweep(path: Path, overrides: Iterable[str] = ()) -> Sweep:
    """Read a sweep's file and the config that it names; overrides are the config's.

    Raises:
        ConfigError: with every problem found in either.
    """
    settings, problems = _settings(path)
    given: SweepSettings | _Space | None = settings
    if given is None:
        try:
            given = load_settings(_Space, path)
        except ConfigError:
            raise ConfigError(str(path), problems) from None
    base, found = _base(path, given.config, overrides)
    problems += found
    space: list[Dimension] = []
    for key, choice in given.space.items():
        unknown = [] if base is None else _unknown(key, base)
        problems += unknown
        dimension = _dimension(key, choice)
        if isinstance(dimension, str):
            problems.append(f"space.{key}: {dimension}")
            continue
        space.append(dimension)
        if base is not None and not unknown:
            problems += _refused(dimension, base)
    if problems or settings is None or base is None:
        raise ConfigError(str(path), problems)
    return Sweep(settings, base, tuple(space))


def _settings(path: Path) -> tuple[SweepSettings | None, list[str]]:
    try:
        return load_settings(SweepSettings, path), []
    except ConfigError as error:
        problems = list(error.problems)
    if any(problem.startswith("corpora: unknown key") for problem in problems):
        problems.append(
            "this is a run's config: a sweep's file names it under 'config' and says under "
            "'space' what is varied, as configs/sweeps/quickstart.yaml does"
        )
    return None, problems


def _base(path: Path, name: str, overrides: Iterable[str]) -> tuple[Config | None, list[str]]:
    try:
        return load_config(path.parent / name, overrides), []
    except ConfigError as error:
        return None, [f"config: {path.parent / name}: {problem}" for problem in error.problems]


def _unknown(key: str, base: Config) -> list[str]:
    """Why a key cannot be searched, if it cannot."""
    if not _MIXTURE.fullmatch(key):
        for fixed, reason in _FIXED.items():
            if key == fixed or key.startswith(f"{fixed}."):
                return [f"space.{key}: this setting cannot be searched: {reason}"]
    known = [
        name
        for name in flatten(base.to_dict())
        if _MIXTURE.fullmatch(name)
        or not any(name == fixed or name.startswith(f"{fixed}.") for fixed in _FIXED)
    ]
    if key in known:
        return []
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"those are {', '.join(known)}"
    return [f"space.{key}: expected a setting of the run, found none of this name; {hint}"]


def _dimension(key: str, given: object) -> Dimension | str:
    """What is varied, or what is wrong with how it is written."""
    wanted = f"expected one of {', '.join(KINDS)}, such as {{log_uniform: [1.0e-5, 1.0e-3]}}"
    if not isinstance(given, Mapping) or len(given) != 1:
        return f"{wanted}; found {given!r}"
    ((kind, values),) = given.items()
    if kind not in KINDS:
        near = difflib.get_close_matches(str(kind), KINDS, n=1, cutoff=0.5)
        return f"{wanted}; found {kind!r}" + (f", did you mean {near[0]!r}?" if near else "")
    if kind == "choices":
        return _choices(key, values)
    return _range(key, kind, values)


def _choices(key: str, values: object) -> Dimension | str:
    fits = isinstance(values, Sequence) and not isinstance(values, str)
    if not fits or not all(isinstance(v, bool | int | float | str | None) for v in values):  # type: ignore[attr-defined]
        return f"expected a list of plain values under 'choices', found {values!r}"
    chosen: tuple[Value, ...] = tuple(values)  # type: ignore[arg-type]
    if len({(type(value), value) for value in chosen}) < max(len(chosen), 2):
        return f"expected two or more different choices, found {list(chosen)!r}"
    return Dimension(key, "choices", chosen)


def _range(key: str, kind: Kind, values: object) -> Dimension | str:
    number: tuple[type, ...] = (int,) if kind == "integer" else (int, float)
    if (
        not isinstance(values, Sequence)
        or len(values) != 2
        or not all(isinstance(v, number) and not isinstance(v, bool) for v in values)
        or not all(math.isfinite(v) for v in values)
    ):
        what = "whole numbers" if kind == "integer" else "numbers"
        return f"expected two {what}, [low, high], under {kind!r}; found {values!r}"
    low, high = values
    if low >= high:
        return f"expected low < high under {kind!r}, found {list(values)!r}"
    if kind == "log_uniform" and low <= 0:
        return f"expected bounds above 0 under 'log_uniform', found {list(values)!r}"
    if kind != "integer":
        low, high = float(low), float(high)
    return Dimension(key, kind, (low, high))


def _refused(dimension: Dimension, base: Config) -> list[str]:
    """The bounds and choices that the run's config does not take."""
    problems = []
    for value in dimension.values:
        try:
            with_values(base, {dimension.key: value})
        except ValidationError as error:
            found = "; ".join(_messages(error))
            whole = isinstance(value, float) and "integer" in found
            hint = "; use integer: [low, high]" if whole else ""
            problems.append(f"space.{dimension.key}: {value!r}: {found}{hint}")
    section = dimension.key.rpartition(".")[0]
    unlearnt = _UNLEARNT.get(dimension.key) or _UNLEARNT.get(section, ())
    if dimension.kind == "choices":
        problems += [
            f"space.{dimension.key}: {value!r}: what a trial does not learn has no part in its "
            "score, which could not be compared with another trial's"
            for value in dimension.values
            if value in unlearnt and not isinstance(value, bool)
        ]
    return problems


def _messages(error: ValidationError) -> list[str]:
    messages = [item["msg"].removeprefix("Value error, ") for item in error.errors()]
    return [f"{message[0].lower()}{message[1:]}" for message in messages]
