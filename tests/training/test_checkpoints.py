from __future__ import annotations

import errno
from pathlib import Path

import pytest

from framelens_training.checkpoints import MANIFEST, Checkpoints, damaged_files, saving
from framelens_training.errors import CheckpointError


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints")


def write(checkpoints: Checkpoints, step: int, content: str = "weights") -> None:
    folder = checkpoints.start() / f"checkpoint-{step}"
    folder.mkdir()
    for name in ("model.safetensors", "trainer_state.json", "optimizer.pt"):
        (folder / name).write_text(f"{content} {name} {step}", "utf-8")
    checkpoints.finish(step)


def test_a_checkpoint_is_there_once_it_is_whole(checkpoints: Checkpoints) -> None:
    assert checkpoints.latest() is None
    write(checkpoints, 9)
    folder = checkpoints.start() / "checkpoint-10"
    folder.mkdir()
    (folder / "model.safetensors").write_text("half", "utf-8")
    assert (checkpoints.steps(), checkpoints.latest()) == ([9], 9)
    write(checkpoints, 10)
    assert (checkpoints.steps(), checkpoints.latest()) == ([9, 10], 10)
    assert not checkpoints.partial().exists()


@pytest.mark.parametrize("damage", ["changed", "missing", "cut", "manifest"])
def test_a_damaged_checkpoint_is_passed_over(checkpoints: Checkpoints, damage: str) -> None:
    write(checkpoints, 1)
    write(checkpoints, 2)
    weights = checkpoints.path(2) / "model.safetensors"
    if damage == "changed":
        weights.write_text(weights.read_text("utf-8").replace("w", "W"), "utf-8")
    elif damage == "missing":
        weights.unlink()
    elif damage == "cut":
        weights.write_text("w", "utf-8")
    else:
        (checkpoints.path(2) / MANIFEST).write_text("{", "utf-8")
    assert damaged_files(checkpoints.path(2)) != []
    assert checkpoints.latest() == 1
    write(checkpoints, 2)
    assert checkpoints.latest() == 2


def test_the_best_and_the_latest_are_kept(checkpoints: Checkpoints) -> None:
    for step in (1, 2, 3, 10):
        write(checkpoints, step)
        checkpoints.prune(best=1)
    assert checkpoints.steps() == [1, 3, 10]
    checkpoints.prune(best=10)
    assert checkpoints.steps() == [3, 10]
    checkpoints.keep_model(3)
    assert checkpoints.steps() == [3]
    names = {path.name for path in checkpoints.path(3).iterdir()}
    assert names == {"model.safetensors", "trainer_state.json", MANIFEST}
    assert damaged_files(checkpoints.path(3)) == []


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("PytorchStreamWriter failed writing file"),
        type("SafetensorError", (Exception,), {})("I/O error: No space left on device"),
    ],
)
def test_what_cannot_be_written_is_told_with_what_is_kept(
    checkpoints: Checkpoints, error: Exception
) -> None:
    def fail() -> None:
        checkpoints.start()
        raise error

    with pytest.raises(CheckpointError, match=r"no checkpoint yet: make room"):
        saving(fail, checkpoints)
    write(checkpoints, 4)
    with pytest.raises(CheckpointError, match=r"checkpoint-4, is kept.*--resume"):
        saving(fail, checkpoints)
    assert checkpoints.latest() == 4
    assert not checkpoints.partial().exists()
    with pytest.raises(ValueError, match="on purpose"):
        saving(lambda: int("on purpose"), checkpoints)
