"""Layers of an encoder that stay as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel

from framelens.schema import AXES
from framelens_training.config import LOSS_PARTS, Config
from framelens_training.encoder import all_weights, load_encoder
from framelens_training.errors import TrainingError, UnfitSettingsError
from framelens_training.model import LossConfig, SegmentSpanModel
from framelens_training.parameter_groups import freeze, parameter_groups
from framelens_training.pipeline import run_jointly
from framelens_training.run_weights import INNER
from framelens_training.tracker import NullTracker

pytestmark = pytest.mark.training

LAYER_NUMBER = "framelens_training.parameter_groups._layer"


def model_of(config: Config) -> SegmentSpanModel:
    return SegmentSpanModel(load_encoder(config.encoder).module, 0.0, LossConfig({}, {}))


def trained_parts(model: SegmentSpanModel) -> set[str]:
    """The parts of the encoder that training would change."""
    return {
        name.removeprefix(INNER).split(".attention")[0].split(".intermediate")[0]
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and name.startswith(INNER)
    }


def test_layers_from_below_and_the_embeddings_are_not_trained(tiny_config: Config) -> None:
    model = model_of(tiny_config)
    depth = model.encoder.config.num_hidden_layers
    freeze(model, 0)
    assert all(parameter.requires_grad for parameter in model.parameters())
    freeze(model, depth - 1)
    assert {part.split(".output")[0] for part in trained_parts(model)} == {
        f"encoder.layer.{depth - 1}"
    }
    assert model.segment_head.weight.requires_grad
    groups = parameter_groups(model, tiny_config)
    count = sum(len(group["params"]) for group in groups)
    assert count == sum(parameter.requires_grad for parameter in model.parameters())


def test_what_normalises_the_output_is_trained_with_the_last_layer(tiny_config: Config) -> None:
    settings = AutoConfig.for_model(
        "modernbert", vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16, pad_token_id=0,
    )  # fmt: skip
    model = SegmentSpanModel(AutoModel.from_config(settings), 0.0, LossConfig({}, {}))
    freeze(model, 1)
    found = {name: p.requires_grad for name, p in model.named_parameters() if "norm" in name}
    assert found["encoder.final_norm.weight"]
    assert not found["encoder.embeddings.norm.weight"]
    training = tiny_config.training.model_copy(update={"layer_decay": 0.5})
    groups = parameter_groups(model, tiny_config.model_copy(update={"training": training}))
    (rate,) = (
        group["lr"]
        for group in groups
        if any(p is model.encoder.final_norm.weight for p in group["params"])
    )
    assert rate == training.learning_rate


def test_no_more_layers_are_frozen_than_there_are(tiny_config: Config) -> None:
    model = model_of(tiny_config)
    depth = model.encoder.config.num_hidden_layers
    with pytest.raises(TrainingError, match=f"at most the encoder's {depth} layers"):
        freeze(model, depth + 1)


def test_nothing_is_asked_of_an_encoder_that_is_trained_whole(
    tiny_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of(tiny_config)
    monkeypatch.setattr(LAYER_NUMBER, lambda name: 0)  # unknown names
    freeze(model, 0)
    assert all(parameter.requires_grad for parameter in model.parameters())
    with pytest.raises(TrainingError, match="at most the encoder's 0 layers"):
        freeze(model, 1)


def test_rates_of_layers_without_numbers_cannot_differ(
    tiny_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rates(decay: float) -> list[float]:
        training = tiny_config.training.model_copy(update={"layer_decay": decay})
        config = tiny_config.model_copy(update={"training": training})
        return sorted({group["lr"] for group in parameter_groups(model, config)})

    model = model_of(tiny_config)
    rate, of_heads = tiny_config.training.learning_rate, tiny_config.training.head_learning_rate
    assert rates(0.5) == pytest.approx([rate / 4, rate / 2, rate, of_heads])
    monkeypatch.setattr(LAYER_NUMBER, lambda name: 0)  # as of ALBERT
    assert rates(1.0) == [rate, of_heads]
    with pytest.raises(TrainingError, match=r"layer_decay: expected 1 .* not numbered, found 0.5"):
        rates(0.5)


def test_a_run_keeps_frozen_weights_to_the_bit(tiny_config: Config) -> None:
    training = tiny_config.training.model_copy(update={"frozen_layers": 1})
    config = tiny_config.model_copy(update={"training": training})
    run_jointly(config, NullTracker(), lambda line: None, train_only=True)
    (folder,) = Path(config.output).iterdir()
    before = load_encoder(config.encoder).module.state_dict()
    after = load_encoder(str(folder)).module.state_dict()
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert changed
    assert all(name.startswith("encoder.layer.1.") for name in changed)


@pytest.mark.parametrize(
    ("setting", "value"), [("frozen_layers", 9), ("accumulate", 999), ("average_from", 999)]
)
def test_a_run_whose_settings_do_not_fit_leaves_no_folder(
    tiny_config: Config, setting: str, value: int
) -> None:
    changes = {"average": True, "evaluations_per_epoch": 9, setting: value}
    training = tiny_config.training.model_copy(update=changes)
    config = tiny_config.model_copy(update={"training": training})
    with pytest.raises(UnfitSettingsError, match=setting):
        run_jointly(config, NullTracker(), lambda line: None)
    assert not list(Path(config.output).iterdir())


def test_a_head_is_trained_by_itself(tiny_config: Config) -> None:
    run_jointly(tiny_config, NullTracker(), lambda line: None, train_only=True)
    (first,) = Path(tiny_config.output).iterdir()
    weights = dict.fromkeys(LOSS_PARTS, 0.0) | {"boilerplate": 1.0}
    depth = model_of(tiny_config).encoder.config.num_hidden_layers
    update = {"frozen_layers": depth, "loss_weights": weights, "weight_decay": 0.0}
    config = tiny_config.model_copy(
        update={
            "encoder": str(first),
            "training": tiny_config.training.model_copy(update=update),
        }
    )
    run_jointly(config, NullTracker(), lambda line: None, train_only=True)
    (second,) = set(Path(tiny_config.output).iterdir()) - {first}
    before, after = (all_weights(load_encoder(str(folder))) for folder in (first, second))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"segment_head.weight", "segment_head.bias"}
    place = AXES.index("boilerplate")
    for name in changed:
        rows = (before[name] != after[name]).reshape(len(AXES), -1).any(dim=1)
        assert rows.tolist() == [row == place for row in range(len(AXES))]
