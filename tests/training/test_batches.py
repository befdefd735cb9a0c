"""Steps of several batches, in one process or in several."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import TrainingArguments

from framelens.features import Featurizer
from framelens_training.config import LOSS_PARTS, Config, Windows
from framelens_training.dataset import TokenBudgetSampler, WindowDataset, collate
from framelens_training.encoder import load_encoder
from framelens_training.errors import TrainingError
from framelens_training.mixture import CorpusFeatures, tempered, training_windows
from framelens_training.model import (
    LossConfig,
    SegmentSpanModel,
    SoftLoss,
    answer_counts,
    scales_of_parts,
)
from framelens_training.processes import Processes
from framelens_training.settings_text import to_yaml
from framelens_training.targets import LabelledFeatures, LabelledWindow, featurize_document
from framelens_training.trainer import training_arguments
from support import tiny_documents

CONFIG = Windows(max_tokens=48, overlap=8)


def test_a_process_trains_on_one_gpu_of_several(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = TrainingArguments.__post_init__

    def with_two_gpus(arguments: TrainingArguments) -> None:
        prepare(arguments)
        arguments._n_gpu = 2

    monkeypatch.setattr(TrainingArguments, "__post_init__", with_two_gpus)
    assert training_arguments(tiny_config, str(tmp_path), 9).n_gpu == 1


def documents(count: int, featurizer: Featurizer, first: int = 0) -> list[LabelledFeatures]:
    return [featurize_document(document, featurizer) for document in tiny_documents(count, first)]


@pytest.fixture
def windows(featurizer: Featurizer) -> list[LabelledWindow]:
    return training_windows([CorpusFeatures(documents(9, featurizer))], featurizer, CONFIG, seed=1)


def samplers(windows: list[LabelledWindow], accumulate: int, count: int) -> list[Any]:
    dataset = WindowDataset([windows, windows[:-3]])
    return [
        TokenBudgetSampler(dataset, 128, 5, accumulate=accumulate, processes=Processes(rank, count))
        for rank in range(count)
    ]


@pytest.mark.parametrize(("accumulate", "count"), [(1, 2), (3, 1), (2, 2), (1, 5)])
def test_processes_share_each_step_and_every_window_is_seen_once(
    windows: list[LabelledWindow], accumulate: int, count: int
) -> None:
    ranks = samplers(windows, accumulate, count)
    dataset = WindowDataset([windows, windows[:-3]])
    assert len({len(sampler) for sampler in ranks}) == 1, "nobody waits for a batch"
    assert all(len(step) == accumulate for sampler in ranks for step in sampler.steps)
    seen = [index for sampler in ranks for batch in sampler for index in batch]
    assert sorted(seen) == list(range(len(dataset)))
    for sampler in ranks:
        assert all(max(dataset.lengths[i] for i in b) * len(b) <= 128 for b in sampler)
    (alone,) = samplers(windows, accumulate * count, 1)
    together = [
        {i for sampler in ranks for batch in sampler.steps[number] for i in batch}
        for number in range(len(alone.steps))
    ]
    assert together == [{i for batch in step for i in batch} for step in alone.steps]


def test_too_few_windows_for_a_step_are_told(windows: list[LabelledWindow]) -> None:
    with pytest.raises(TrainingError, match=r"expected 8 windows or more an epoch.*found 3"):
        TokenBudgetSampler(WindowDataset([windows[:3]]), 128, 5, accumulate=8)


@pytest.mark.parametrize("is_taught", [False, True])
def test_a_step_of_uneven_batches_has_the_gradients_of_one_batch(
    encoder_folder: Path, windows: list[LabelledWindow], is_taught: bool
) -> None:
    """Parts of different sizes, one without any span label: the mean of means would differ."""
    loss = LossConfig(
        {part: 0.5 + number for number, part in enumerate(LOSS_PARTS)},
        dict.fromkeys(LOSS_PARTS, 2.0),
        SoftLoss(0.3, 2.0) if is_taught else None,
    )
    torch.manual_seed(0)
    model = SegmentSpanModel(load_encoder(str(encoder_folder)).module, 0.0, loss)
    by_size = sorted(windows, key=lambda window: len(window.features.input_ids))
    parts = [collate(part) for part in (by_size[:2], by_size[2:9], by_size[-3:])]
    whole = collate([*by_size[:9], *by_size[-3:]])
    parts[0]["tag_targets"].fill_(-100)
    whole["tag_targets"][:2] = -100
    if is_taught:
        generator = torch.Generator().manual_seed(1)
        soft = torch.randn((*whole["input_ids"].shape, 11), generator=generator)
        soft[whole["attention_mask"] == 0] = float("nan")
        soft[2:4] = float("nan")
        whole["soft_targets"] = soft
        for part, rows in zip(parts, (slice(0, 2), slice(2, 9), slice(9, 12)), strict=True):
            part["soft_targets"] = soft[rows, : part["input_ids"].shape[1]]

    def gradients(batches: list[dict[str, torch.Tensor]]) -> torch.Tensor:
        model.zero_grad()
        for batch in batches:
            (model(**batch)["loss"] / len(batches)).backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    expected = gradients([whole])
    counts = [answer_counts(part) for part in parts]
    total = answer_counts(whole)
    torch.testing.assert_close(torch.stack(counts).sum(0), total)
    scaled = [
        {**part, "part_scales": scales_of_parts(own, total, len(parts))}
        for part, own in zip(parts, counts, strict=True)
    ]
    torch.testing.assert_close(gradients(scaled), expected, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(gradients(parts), expected, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize(
    ("temperature", "counts"), [(1.0, (40, 10)), (2.0, (33, 17)), (1e6, (25, 25))]
)
def test_a_temperature_draws_corpora_more_evenly(
    featurizer: Featurizer, temperature: float, counts: tuple[int, int]
) -> None:
    corpora = [
        CorpusFeatures(documents(size, featurizer, first)) for size, first in ((40, 0), (10, 100))
    ]
    drawn = tempered(corpora, temperature)
    sizes = [corpus.weight * len(corpus.documents) for corpus in drawn]
    np.testing.assert_allclose(sizes, counts, atol=0.5)
    np.testing.assert_allclose(sum(sizes), 50)
    heavy = tempered([corpora[0], CorpusFeatures(corpora[1].documents, 3.0)], temperature)
    np.testing.assert_allclose(heavy[1].weight, 3 * drawn[1].weight)
    assert tempered([CorpusFeatures([]), corpora[1]], 2.0)[1].weight == pytest.approx(1.0)


def launch(config: Path, *more: str, processes: int) -> subprocess.CompletedProcess[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.run(
        [sys.executable, *launcher, "-m", "framelens_training.cli", "run", str(config), *more],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )


@pytest.mark.training
def test_two_processes_train_what_one_trains_with_the_same_global_batch(
    tiny_config: Config, tmp_path: Path
) -> None:
    import mlflow
    from safetensors.torch import load_file

    from framelens_training.cli import main

    path = tmp_path / "run.yaml"
    path.write_text(to_yaml(tiny_config), "utf-8")
    done = launch(path, "--set", "training.patience=9", processes=2)
    assert done.returncode == 0, done.stderr
    alone = ["training.patience=9", "training.accumulate=2", f"output={tmp_path / 'alone'}"]
    assert main(["run", str(path), "--no-tracking", "--set", *alone]) == 0

    (together,) = (tmp_path / "runs").iterdir()
    (single,) = (tmp_path / "alone").iterdir()
    assert json.loads((together / "run.json").read_text("utf-8"))["processes"] == 2
    weights = []
    for folder in (together, single):
        (checkpoint,) = (folder / "checkpoints").iterdir()
        weights.append((checkpoint.name, load_file(checkpoint / "model.safetensors")))
    (step, found), (expected_step, expected) = weights
    assert step == expected_step
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-4)

    client = mlflow.MlflowClient(tiny_config.tracking.uri)
    experiment = client.get_experiment_by_name("tiny").experiment_id
    (run,) = client.search_runs([experiment])
    assert run.info.status == "FINISHED"
    for name in ("train/loss", "validation/score"):
        history = client.get_metric_history(run.info.run_id, name)
        assert len(history) == len({point.step for point in history}), "only one process records"
    assert done.stdout.count("Exporting to ONNX") == 1
    noise = [
        line for line in done.stderr.splitlines() if "arning" in line or "transformers" in line
    ]
    assert noise == []
