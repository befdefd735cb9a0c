from __future__ import annotations

import errno
import json
import random
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from framelens_training import pipeline
from framelens_training.checkpoints import Checkpoints
from framelens_training.cli import main
from framelens_training.config import Config
from framelens_training.data import LoadedCorpus
from framelens_training.errors import ResumeError
from framelens_training.run_record import RunRecord, find_run
from framelens_training.settings_text import to_yaml
from killed_run import run_command

pytestmark = pytest.mark.training

KILLED = -signal.SIGKILL


@pytest.fixture
def config(tiny_config: Config) -> Config:
    """Dropout, so that a generator's state matters; a checkpoint with every log line."""
    training = {
        **tiny_config.training.model_dump(),
        "epochs": 2,
        "dropout": 0.2,
        "encoder_dropout": 0.1,
        "checkpoint_minutes": 0.0,
    }
    return Config.model_validate({**tiny_config.model_dump(), "training": training})


def points(client: Any, run_id: str) -> dict[str, list[tuple[int, float]]]:
    """Every metric of a run, with its whole history."""
    return {
        name: [(p.step, p.value) for p in client.get_metric_history(run_id, name)]
        for name in client.get_run(run_id).data.metrics
    }


def test_a_run_that_is_killed_five_times_ends_as_if_it_had_never_been(
    config: Config, tmp_path: Path
) -> None:
    import mlflow

    path, log = tmp_path / "run.yaml", tmp_path / "log.txt"
    path.write_text(to_yaml(config), "utf-8")
    whole = tmp_path / "unbroken"
    assert run_command(["run", str(path), "--set", f"output={whole}"], log) == 0, log.read_text()

    generator = random.Random(4)
    resume = ["run", str(path), "--resume", "--allow-changed-code"]
    kills = [
        ("step", generator.randint(2, 6)),
        ("evaluation", 1),
        ("optimizer", 4 * generator.randint(0, 1) + 2),  # four files a checkpoint
        ("assessment", 1),
        ("record", 1),
    ]
    for number, (place, call) in enumerate(kills):
        arguments = ["run", str(path)] if number == 0 else resume
        assert run_command(arguments, log, place, call) == KILLED, (place, log.read_text())
    assert run_command(resume, log) == 0, log.read_text()

    (unbroken,), (broken,) = (list(f.iterdir()) for f in (whole, tmp_path / "runs"))
    for name in ("checkpoints/checkpoint-*/model.safetensors", "model/model.onnx"):
        (expected,), (found,) = (list(folder.glob(name)) for folder in (unbroken, broken))
        assert expected.relative_to(unbroken) == found.relative_to(broken)
        assert expected.read_bytes() == found.read_bytes(), name
    client = mlflow.MlflowClient(config.tracking.uri)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    runs = client.search_runs([experiment])
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
    ids = [RunRecord.read(folder).run_id or "" for folder in (unbroken, broken)]
    assert points(client, ids[0]) == points(client, ids[1])
    assert client.get_run(ids[1]).data.tags["framelens.resumed"] == "5"
    assert len(client.search_model_versions(f"run_id = '{ids[1]}'")) == 1
    assert "The training had ended" in log.read_text("utf-8")
    with pytest.raises(ResumeError, match="has finished"):
        find_run(config, ids[1])


def test_a_full_disk_stops_a_run_and_keeps_the_last_checkpoint(
    config: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import mlflow

    path = tmp_path / "run.yaml"
    path.write_text(to_yaml(config), "utf-8")
    write, calls = torch.save, 0

    def fill_up(*arguments: Any, **options: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 10:  # the optimizer's state of the third checkpoint
            raise OSError(errno.ENOSPC, "No space left on device")
        write(*arguments, **options)

    monkeypatch.setattr(torch, "save", fill_up)
    assert main(["run", str(path)]) == 1
    said = capsys.readouterr().err
    (folder,) = (tmp_path / "runs").iterdir()
    checkpoints = Checkpoints(folder / "checkpoints")
    assert checkpoints.latest() == 2
    assert str(checkpoints.path(2)) in said
    assert "No space left" in said
    assert "MB were free" in said
    assert not checkpoints.partial().exists()
    client = mlflow.MlflowClient(config.tracking.uri)
    assert client.get_run(str(RunRecord.read(folder).run_id)).info.status == "FAILED"


def test_a_loss_that_is_no_number_stops_a_run(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(to_yaml(config), "utf-8")
    wild = ["training.head_learning_rate=1e38", "training.warmup_share=0.5"]
    assert main(["run", str(path), "--no-tracking", "--set", *wild]) == 1
    said = capsys.readouterr().err
    (folder,) = (tmp_path / "runs").iterdir()
    last = Checkpoints(folder / "checkpoints").latest()
    assert last is not None
    assert f"at step {last + 1} of" in said or f"at step {last + 2} of" in said
    assert f"checkpoint-{last}" in said
    assert "learning rate" in said
    assert "training.warmup_share" in said
    assert "“" in said, "windows are quoted"
    from safetensors.torch import load_file

    weights = load_file(folder / "checkpoints" / f"checkpoint-{last}" / "model.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())


def begun(config: Config, folder: Path, **changes: Any) -> RunRecord:
    record = replace(
        RunRecord.of(config, None, 1), corpora={"files/train": "a" * 64}, process="x:1:1.00"
    )
    record = replace(record, **changes)
    record.write(folder)
    return record


def test_only_the_same_run_is_gone_on_with(config: Config, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "tiny-1"
    record = begun(config, folder)
    record.check(record, folder)
    other = config.model_copy(update={"seed": 99})
    now = replace(
        RunRecord.of(other, None, 2),
        corpora={"files/train": "b" * 64, "files/test": "c" * 64},
        code="0" * 64,
    )
    with pytest.raises(ResumeError) as caught:
        record.check(now, folder)
    said = str(caught.value)
    for part in (
        "seed: 13 then, 99 now",
        "corpus files/test: nothing then",
        "corpus files/train: aaaaaaaaaaaa… then, bbbbbbbbbbbb… now",
        "processes: 1 then, 2 now",
        "the code of framelens",
    ):
        assert part in said, said
    record.check(replace(record, code="0" * 64), folder, allow_code=True)
    taught = replace(record, origins={"teacher t": "a" * 64})
    taught.check(record, folder)  # not read yet
    with pytest.raises(ResumeError, match="weights of teacher t: aaaaaaaaaaaa… then, bbb"):
        taught.check(replace(record, origins={"teacher t": "b" * 64}), folder)


def test_two_corpora_of_one_kind_are_told_apart(config: Config) -> None:
    digests = [{"train": "a"}, {"train": "b"}]
    corpora = [LoadedCorpus("files", "", 1.0, {}, sums) for sums in digests]
    assert RunRecord.of(config, None, 1).with_corpora(corpora).corpora == {
        "files/train": "a", "files 2/train": "b"
    }  # fmt: skip


def test_a_run_that_still_goes_on_is_left_alone(config: Config, tmp_path: Path) -> None:
    import os

    import psutil

    folder = tmp_path / "runs" / "tiny-1"
    record = begun(config, folder)
    parent = psutil.Process(os.getppid())
    machine = RunRecord.of(config, None, 1).process.partition(":")[0]
    alive = replace(record, process=f"{machine}:{parent.pid}:{parent.create_time():.2f}")
    with pytest.raises(ResumeError, match=f"still going on, in process {parent.pid}"):
        alive.check(record, folder)
    replace(alive, process=f"{machine}:{parent.pid}:1.00").check(record, folder)


def test_a_run_from_before_a_setting_was_new_is_found(config: Config, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "tiny-old"
    record = begun(config, folder)
    settings = record.config["training"]
    older = {name: settings[name] for name in settings if name != "begin_with"}
    replace(record, config={**record.config, "training": older}).write(folder)
    assert find_run(config, "") == folder


def test_the_run_to_go_on_with_is_found(config: Config, tmp_path: Path) -> None:
    output = tmp_path / "runs"
    with pytest.raises(ResumeError, match="unfinished there: none"):
        find_run(config, "")
    begun(config, output / "tiny-old", started=1.0)
    begun(config, output / "tiny-new", started=2.0, run_id="feed" * 8)
    begun(config, output / "tiny-done", started=3.0, finished=True)
    begun(config.model_copy(update={"seed": 9}), output / "tiny-other", started=4.0)
    assert find_run(config, "") == output / "tiny-new"
    assert find_run(config, "feedfeed") == output / "tiny-new"
    assert find_run(config, str(output / "tiny-old")) == output / "tiny-old"
    with pytest.raises(ResumeError, match="has finished"):
        find_run(config, str(output / "tiny-done"))
    with pytest.raises(ResumeError, match=r"--resume beef.*found none.*tiny-new"):
        find_run(config, "beef")
    (output / "tiny-old" / "run.json").write_text(json.dumps({"format": 0}), "utf-8")
    with pytest.raises(ResumeError, match="format 1"):
        find_run(config, str(output / "tiny-old"))
    (output / "tiny-other" / "run.json").write_text('{"run_id": 3}', "utf-8")
    assert find_run(config, "") == output / "tiny-new", "others can be gone on with"
    assert find_run(config, "feedfeed") == output / "tiny-new"


def trained_only(config: Config, tmp_path: Path) -> tuple[Path, Path]:
    """A config's file, and the folder of a run of it that has its weights and nothing more."""
    path = tmp_path / "run.yaml"
    path.write_text(to_yaml(config), "utf-8")
    assert main(["run", str(path), "--train-only"]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    return path, folder


def test_a_training_is_begun_without_a_store_and_ended_with_one(
    config: Config,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import mlflow

    path, folder = trained_only(config, tmp_path)
    assert f"--resume {folder} exports" in capsys.readouterr().out
    assert not (folder / "model").exists()
    assert not (tmp_path / "mlflow.db").exists()
    record = RunRecord.read(folder)
    assert record.run_id is None
    assert not record.finished
    replace(record, revision="unknown", process="elsewhere:1:0").write(folder)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:  # after the export
        patch.setattr(pipeline, "assess", interrupt)
        assert main(["run", str(path), "--resume", str(folder), "--no-tracking"]) == 130
    assert (folder / "model").exists()

    assert main(["run", str(path), "--resume", str(folder)]) == 0
    assert [p.name for p in (tmp_path / "runs").iterdir()] == [folder.name]
    client = mlflow.MlflowClient(config.tracking.uri)
    record = RunRecord.read(folder)
    assert record.finished
    assert record.revision not in ("", "unknown")  # the code is the same: what it is now
    found = client.get_run(record.run_id)
    assert found.info.status == "FINISHED"
    curves = points(client, str(record.run_id))
    assert len(curves["validation/score"]) == config.training.epochs
    assert len(curves["train/loss"]) > 2
    assert "train/step" not in curves
    assert "test/framed/macro_f1" in curves
    manifest = json.loads((folder / "model" / "manifest.json").read_text())
    assert manifest["training"]["run_id"] == record.run_id
    assert [path.name for path in folder.glob("*.onnx")] == ["fp32.onnx"]


def test_a_training_that_has_not_ended_is_not_recorded_later(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, folder = trained_only(config, tmp_path)
    (folder / "trained.json").unlink()
    assert main(["run", str(path), "--resume", str(folder)]) == 1
    assert "resume it with --no-tracking" in capsys.readouterr().err
