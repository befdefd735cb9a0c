"""Errors that a user of the harness can act on."""

from __future__ import annotations

import traceback
from collections.abc import Sequence


class TrainingError(Exception):
    """Base of all errors that the harness raises on purpose."""


class ListedError(TrainingError):
    """Something that cannot be used; the message lists every problem of it."""

    def __init__(self, where: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{where}: {len(self.problems)} problem(s)\n{lines}")


class ConfigError(ListedError):
    """A configuration that cannot be used."""


class CascadeError(TrainingError):
    """Labels by which a cascade of two models cannot be judged."""


class EncoderError(TrainingError):
    """An encoder that can neither be found on disk nor reached."""


class TeacherError(TrainingError):
    """A teacher that cannot be found, or does not fit."""


class StudentError(TrainingError):
    """A student that cannot be cut out of its teacher or encoder as the config says."""


class LearntTextsError(TrainingError):
    """A model would be judged by, or fitted to, texts that it has learnt from."""


class TrackingError(TrainingError):
    """An MLflow store that cannot be used."""


class UnfitSettingsError(TrainingError):
    """Settings of the training that do not fit the encoder or the number of windows."""


class CheckpointError(TrainingError):
    """A checkpoint that could not be written."""


class NonFiniteLossError(TrainingError):
    """A loss or a gradient that is no number, or infinite."""


class ResumeError(TrainingError):
    """A run that cannot be gone on with: not there, or no longer the same."""


class ExportError(TrainingError):
    """An exported model that does not do what the trained one does."""


class SplitError(TrainingError):
    """A split that training cannot do without is empty, or cannot tell models apart."""


class RegistryError(TrainingError):
    """A registered model that is not there, or cannot be used."""


class SweepError(TrainingError):
    """A sweep that cannot be started or continued."""


class RecalibrationError(TrainingError):
    """Labels by which a model cannot be calibrated anew."""


def first_line(error: BaseException) -> str:
    """How an error of another library begins, in at most 300 characters."""
    return (str(error).strip().splitlines() or [""])[0][:300]


def gist(error: BaseException) -> str:
    """The first line of an error, and the last one as well where the first only announces it."""
    first, *rest = str(error).strip().splitlines() or [""]
    return f"{first} {rest[-1].strip()}"[:300] if rest and first.endswith(":") else first[:300]


def heading(error: BaseException) -> str:
    """An error's type and the first line of its message; further lines may quote documents."""
    return f"{type(error).__name__}: {first_line(error)}"


def brief_traceback(error: BaseException) -> str:
    """Where in the code an error arose, and those that it came from, each told by its heading."""
    parts: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        parts.append("".join(traceback.format_tb(cause.__traceback__)) + heading(cause) + "\n")
        cause = cause.__cause__ or cause.__context__
    return "\nfrom which came:\n\n".join(reversed(parts))
