"""Checkpoints on disk: each complete under its name, or not there at all.

A checkpoint is written in a folder of another name, followed by `files.json` with the size and
sha256 of each file, brought to the disk, and only then renamed. So a process that dies while it
writes leaves the checkpoint before, and one that a disk has damaged is recognised and passed over.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from framelens import parts
from framelens_training.errors import CheckpointError, first_line
from framelens_training.run_weights import PREFIX, STATE, WEIGHTS
from framelens_training.weight_averaging import FOLDER as EVALUATED
from framelens_training.whole_files import write_whole

MANIFEST = "files.json"
KEPT = 2
"""Latest checkpoints that are kept beside the best one."""

_PARTIAL = "partial"
_MODEL_FILES = (WEIGHTS, STATE)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints of one training, by step."""

    folder: Path

    def path(self, step: int) -> Path:
        """Where the checkpoint of a step is, or would be."""
        return self.folder / f"{PREFIX}{step}"

    def steps(self) -> list[int]:
        """Steps of the checkpoints that were finished, in order."""
        names = (path.parent.name for path in self.folder.glob(f"{PREFIX}*/{MANIFEST}"))
        numbers = (name.removeprefix(PREFIX) for name in names)
        return sorted(int(number) for number in numbers if number.isdecimal())

    def latest(self) -> int | None:
        """Step of the latest checkpoint that is as it was written; None without any."""
        for step in reversed(self.steps()):
            damage = damaged_files(self.path(step))
            if not damage:
                return step
            log.warning(
                "%s is damaged (%s); going back to the one before",
                self.path(step),
                ", ".join(damage),
            )
        return None

    def partial(self) -> Path:
        """The folder under which a checkpoint is written."""
        return self.folder / _PARTIAL

    def start(self) -> Path:
        """Make an empty `partial` folder.

        Raises:
            OSError: if that is not possible.
        """
        self.discard()
        self.partial().mkdir(parents=True)
        return self.partial()

    def finish(self, step: int) -> Path:
        """Give the checkpoint under `partial` its name; it is on the disk when this returns.

        Raises:
            OSError: if it cannot be brought to the disk.
        """
        written = self.partial() / f"{PREFIX}{step}"
        seal(written)
        target = self.path(step)
        if target.exists():  # left damaged, or of a training that was begun again
            shutil.rmtree(target)
        written.rename(target)
        _sync(self.folder)
        self.discard()
        return target

    def discard(self) -> None:
        """Remove what was not finished."""
        shutil.rmtree(self.partial(), ignore_errors=True)

    def prune(self, best: int | None) -> None:
        """Remove all but the best and the latest ones."""
        steps = self.steps()
        for step in steps[:-KEPT]:
            if step != best:
                _remove(self.path(step))

    def put_weights(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Put other weights into the checkpoint of a step.

        Raises:
            OSError: if they cannot be written.
        """
        folder = self.path(step)
        parts.write_whole(folder / WEIGHTS, save(dict(weights)))
        seal(folder)

    def keep_model(self, step: int) -> None:
        """When all is done: keep the model of one step, without what resuming would need."""
        for other in self.steps():
            if other != step:
                _remove(self.path(other))
        folder = self.path(step)
        for path in folder.iterdir():
            if path.name not in (*_MODEL_FILES, MANIFEST):
                path.unlink()
        seal(folder, _MODEL_FILES)
        _remove(self.folder / EVALUATED)

    def clear(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


def seal(folder: Path, names: Collection[str] | None = None) -> None:
    """Write the manifest of a folder's files (or of those named), and bring all to the disk."""
    manifest = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != MANIFEST and (names is None or path.name in names):
            _sync(path)
            manifest[path.name] = _entry(path)
    write_whole(folder / MANIFEST, json.dumps(manifest, indent=1))
    _sync(folder)


def damaged_files(folder: Path) -> list[str]:
    """Names of files that are missing, or not as the manifest says; the manifest's own, too."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return [MANIFEST]
    return [
        name
        for name, entry in manifest.items()
        if not (folder / name).is_file() or _entry(folder / name) != entry
    ]


def saving(write: Callable[[], None], checkpoints: Checkpoints) -> None:
    """Call a function that writes a checkpoint; explain what stopped it.

    Raises:
        CheckpointError: if anything did: a full disk, a folder that may not be written to.
    """
    try:
        write()
    except (OSError, RuntimeError) as error:  # torch tells a full disk as a RuntimeError
        raise _failure(error, checkpoints) from error
    except Exception as error:  # safetensors has an error of its own, a plain Exception
        if type(error).__name__ != "SafetensorError":
            raise
        raise _failure(error, checkpoints) from error


def _failure(error: Exception, checkpoints: Checkpoints) -> CheckpointError:
    try:
        free = f"{shutil.disk_usage(checkpoints.folder).free / 1e6:.0f} MB were free there"
    except OSError:
        free = "the folder cannot be read"
    checkpoints.discard()
    kept = checkpoints.steps()
    last = (
        f"the last good checkpoint, {checkpoints.path(kept[-1])}, is kept: make room and go on "
        "with --resume"
        if kept
        else "there is no checkpoint yet: make room and start again"
    )
    return CheckpointError(
        f"a checkpoint could not be written to {checkpoints.folder} ({free}): "
        f"{first_line(error)}; {last}"
    )


def _entry(path: Path) -> dict[str, object]:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    """Remove a checkpoint; first its manifest, so that a half-removed one is not taken for one."""
    (folder / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
