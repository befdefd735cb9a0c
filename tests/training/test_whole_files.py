"""What is being written has a name that is no other file's: a user's, or another process's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from framelens.artifact import Manifest
from framelens.features import FeatureConfig
from framelens_training import export
from framelens_training.checkpoints import Checkpoints
from framelens_training.encoder import load_encoder
from framelens_training.journal import Call, Journal
from framelens_training.model import LossConfig, SegmentSpanModel
from framelens_training.weight_averaging import EvaluatedWeights
from framelens_training.whole_files import remove_unfinished, replacing_folder


def own_file(folder: Path, name: str) -> Path:
    """A user's file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine", "utf-8")
    return path


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_journal_leaves_other_files_alone(tmp_path: Path) -> None:
    own = own_file(tmp_path, "tracking.jsonl.partial")
    Journal(tmp_path / "tracking.jsonl", None, None).replace([Call("text", {"text": "ß"})])
    assert own.read_text("utf-8") == "mine"
    assert entries(tmp_path) == ["tracking.jsonl", own.name]


def test_kept_weights_leave_other_files_alone(tmp_path: Path, encoder_folder: Path) -> None:
    own = own_file(tmp_path, "3.partial")
    model = SegmentSpanModel(load_encoder(str(encoder_folder)).module, 0.0, LossConfig({}, {}))
    EvaluatedWeights(tmp_path).save(3, model)
    found = load_file(tmp_path / "3.safetensors")
    assert all(torch.equal(found[name], value) for name, value in model.state_dict().items())
    assert own.read_text("utf-8") == "mine"
    assert entries(tmp_path) == [own.name, "3.safetensors"]


def test_other_weights_of_a_checkpoint_leave_other_files_alone(tmp_path: Path) -> None:
    own = own_file(tmp_path / "checkpoint-3", "model.safetensors.partial")
    Checkpoints(tmp_path).put_weights(3, {"a": torch.ones(2)})
    assert torch.equal(load_file(own.with_name("model.safetensors"))["a"], torch.ones(2))
    assert own.read_text("utf-8") == "mine"
    assert entries(own.parent) == ["files.json", "model.safetensors", own.name]


def test_an_artifact_leaves_other_folders_alone(
    tmp_path: Path, encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def complete(folder: Path, manifest: Manifest, golden_inputs: object) -> None:
        (folder / "manifest.json").write_text(manifest.name, "utf-8")

    monkeypatch.setattr(export, "complete_artifact", complete)
    own = own_file(tmp_path, "model.partial/notes.txt")
    weights = own_file(tmp_path, "fp32.onnx")
    encoder = load_encoder(str(encoder_folder))
    export.write_artifact(
        tmp_path / "model",
        weights,
        encoder=encoder,
        features=FeatureConfig(),
        decoding=export.DecodingConfig(),
        name="mine",
        version="1",
        precision="fp32",
        training={},
        card="",
        golden_inputs=(),
    )
    assert own.read_text("utf-8") == "mine"
    assert entries(tmp_path) == ["fp32.onnx", "model", "model.partial"]
    assert (tmp_path / "model" / "manifest.json").read_text("utf-8") == "mine"


def test_a_folder_takes_the_place_of_another_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "model"
    with replacing_folder(target) as first:
        own_file(first, "a")
        with replacing_folder(target) as second:
            own_file(second, "b")
    assert entries(target) == ["a"]

    def interrupted() -> None:
        with replacing_folder(target) as third:
            own_file(third, "c")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (entries(target), entries(target.parent)) == (["a"], ["model"])


def test_what_a_killed_process_left_of_a_folder_is_removed(tmp_path: Path) -> None:
    (tmp_path / "model.0123abcd.tmp" / "part").mkdir(parents=True)
    others = {"model", "model.mine.tmp", "model.0123abcd", "other.0123abcd.tmp"}
    for name in others:
        (tmp_path / name).mkdir()
    remove_unfinished(tmp_path / "model")
    assert {path.name for path in tmp_path.iterdir()} == others
