from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from framelens.schema import AXES, BIO_TAGS
from framelens_training import fitting, weight_averaging
from framelens_training.checkpoints import Checkpoints
from framelens_training.config import LOSS_PARTS, Config, LossPart, MixedIn, Training
from framelens_training.dataset import WindowDataset
from framelens_training.encoder import all_weights, load_encoder, save_architecture
from framelens_training.errors import EncoderError, TrainingError
from framelens_training.mixture import CorpusFeatures, training_windows
from framelens_training.model import LossConfig, SegmentSpanModel
from framelens_training.run_weights import WEIGHTS, heads_of
from framelens_training.targets import featurize_document
from framelens_training.weight_averaging import (
    FOLDER,
    START,
    EvaluatedWeights,
    begun_with,
    mixable_model,
    mixed,
    parts_of,
    with_share_of,
)
from support import tiny_documents


def fitted(config: Config, folder: Path, scores: list[float]) -> tuple[SegmentSpanModel, object]:
    """Train on a few windows with evaluations that give these scores, one after another."""
    encoder = load_encoder(config.encoder)
    featurizer = encoder.featurizer(config.windows)
    documents = [featurize_document(d, featurizer) for d in tiny_documents(6)]
    windows = training_windows([CorpusFeatures(documents)], featurizer, config.windows, 1)
    dataset = WindowDataset([windows] * config.training.epochs)
    parts = dict(config.training.loss_weights)
    model = SegmentSpanModel(encoder.module, 0.0, LossConfig(parts, dict.fromkeys(parts, 1.0)))
    given = iter(scores)
    result = fitting.fit(
        config, model, dataset, lambda _: {"score": next(given)}, Checkpoints(folder), []
    )
    return model, result


@pytest.fixture
def averaging(tiny_config: Config) -> Config:
    training = tiny_config.training.model_copy(
        update={"average": True, "epochs": 3, "evaluations_per_epoch": 1, "patience": 9}
    )
    return tiny_config.model_copy(update={"training": training})


def test_the_mean_is_taken(averaging: Config, tmp_path: Path) -> None:
    model, result = fitted(averaging, tmp_path, [0.1, 0.5, 0.4, 0.3])
    steps = EvaluatedWeights(tmp_path / FOLDER).steps()
    assert len(steps) == 3
    parts = [load_file(tmp_path / FOLDER / f"{step}.safetensors") for step in steps]
    name = "segment_head.weight"
    assert not torch.equal(parts[0][name], parts[2][name])
    mean = (parts[0][name] + parts[1][name] + parts[2][name]) / 3
    assert torch.allclose(model.state_dict()[name], mean, atol=1e-7)
    assert result.step == steps[1]  # type: ignore[attr-defined]
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.latest() is not None, "the checkpoint with other weights is whole"
    kept = load_file(checkpoints.path(steps[1]) / WEIGHTS)[name]
    assert torch.equal(kept, model.state_dict()[name])
    assert result.history[-1]["eval_score_of_mean_weights"] == 0.3  # type: ignore[attr-defined]
    checkpoints.keep_model(steps[1])
    assert not (tmp_path / FOLDER).exists()


def test_the_first_evaluations_can_be_left_out(averaging: Config, tmp_path: Path) -> None:
    training = averaging.training.model_copy(update={"average_from": 2})
    config = averaging.model_copy(update={"training": training})
    model, _ = fitted(config, tmp_path, [0.1, 0.5, 0.4, 0.3])
    name = "segment_head.weight"
    _, second, third = (
        load_file(tmp_path / FOLDER / f"{step}.safetensors")[name]
        for step in EvaluatedWeights(tmp_path / FOLDER).steps()
    )
    assert torch.allclose(model.state_dict()[name], (second + third) / 2, atol=1e-7)


def test_the_weights_that_it_began_with_can_have_a_share(averaging: Config, tmp_path: Path) -> None:
    began = load_encoder(averaging.encoder).module.state_dict()
    training = averaging.training.model_copy(update={"average_start": 0.4})
    config = averaging.model_copy(update={"training": training})
    model, _ = fitted(config, tmp_path, [0.1, 0.5, 0.4, 0.3])
    name = "encoder.embeddings.word_embeddings.weight"
    parts = [
        load_file(tmp_path / FOLDER / f"{step}.safetensors")[name]
        for step in EvaluatedWeights(tmp_path / FOLDER).steps()
    ]
    assert len(parts) == 3
    mean = 0.4 * began[name.removeprefix("encoder.")] + 0.6 * sum(parts) / 3
    assert torch.allclose(model.state_dict()[name], mean, atol=1e-6)
    assert not torch.allclose(parts[0], mean, atol=1e-6)


def test_answers_that_it_did_not_begin_with_are_those_of_the_evaluations(
    averaging: Config, tmp_path: Path
) -> None:
    model = SegmentSpanModel(load_encoder(averaging.encoder).module, 0.0, LossConfig({}, {}))
    weights = EvaluatedWeights(tmp_path)
    weights.save(1, model)
    trained = {name: value.clone() for name, value in model.state_dict().items()}
    model.silence(["attributed", "attribution_spans"])
    weights.save(START, model)
    mean = weights.mean(1, start=0.4, known=["framed", "boilerplate", "loaded_spans"])
    assert mean is not None
    assert mean.keys() == trained.keys()
    for name, value in mean.items():
        assert torch.allclose(value, trained[name], atol=1e-6), name


def test_a_silent_head_is_taught_from_a_fresh_one(averaging: Config) -> None:
    encoder = load_encoder(averaging.encoder).module
    silent, model = (SegmentSpanModel(encoder, 0.0, LossConfig({}, {})) for _ in range(2))
    silent.silence(["attributed", "attribution_spans"])
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    heads = heads_of(silent.state_dict())
    model.begin_with(heads, ["framed", "boilerplate", "loaded_spans"])
    found = model.state_dict()
    for kind in ("weight", "bias"):
        segments, spans = f"segment_head.{kind}", f"span_head.{kind}"
        row = AXES.index("attributed")
        assert torch.equal(found[segments][row], fresh[segments][row])
        assert torch.equal(found[segments][row + 1 :], heads[segments][row + 1 :])
        tags = len(BIO_TAGS)
        assert torch.equal(found[spans][:tags], fresh[spans][:tags])
        assert torch.equal(found[spans][tags:], heads[spans][tags:])


def test_one_evaluation_has_no_mean(averaging: Config, tmp_path: Path) -> None:
    training = averaging.training.model_copy(update={"epochs": 1})
    config = averaging.model_copy(update={"training": training})
    model, result = fitted(config, tmp_path, [0.5])
    (step,) = EvaluatedWeights(tmp_path / FOLDER).steps()
    only = load_file(tmp_path / FOLDER / f"{step}.safetensors")
    assert all(torch.equal(only[name], value) for name, value in model.state_dict().items())
    assert result.step == step  # type: ignore[attr-defined]


def test_a_training_that_ends_before_there_is_a_mean_tells_so(
    averaging: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changes = {"average_from": 2, "patience": 1}
    training = averaging.training.model_copy(update=changes)
    config = averaging.model_copy(update={"training": training, "seed": 99})
    fitted(config, tmp_path / "own", [0.5, 0.4])
    assert "too few evaluations from number 2 on for a mean" in caplog.text


def test_a_mean_that_too_few_steps_have_no_evaluations_for_is_refused(
    averaging: Config, tmp_path: Path
) -> None:
    changes = {"evaluations_per_epoch": 9, "average_from": 26}  # of 27, were there as many steps
    training = averaging.training.model_copy(update=changes)
    config = averaging.model_copy(update={"training": training})
    with pytest.raises(TrainingError, match=r"average_from: expected at most \d+, as \d+ steps"):
        fitted(config, tmp_path, [])
    assert not EvaluatedWeights(tmp_path / FOLDER).steps()


def test_another_model_has_its_share_however_early_a_training_ends(
    averaging: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = run_folder(averaging, tmp_path / "other").state_dict()
    assert "fewer than" not in caplog.text
    mixed_in = MixedIn(model=str(tmp_path / "other"), share=0.25)
    changes = {"average_from": 3, "average_with": mixed_in, "patience": 1}
    training = averaging.training.model_copy(update=changes)
    config = averaging.model_copy(update={"training": training, "seed": 99})
    model, _ = fitted(config, tmp_path / "own", [0.5, 0.4, 0.6])
    assert "average_from: fewer than 3 evaluations" in caplog.text
    evaluated = EvaluatedWeights(tmp_path / "own" / FOLDER)
    own = [load_file(evaluated.folder / f"{step}.safetensors") for step in evaluated.steps()]
    assert len(own) == 2
    for name, value in model.state_dict().items():
        mean = sum(weights[name] for weights in own) / 2
        assert torch.allclose(value, 0.25 * theirs[name] + 0.75 * mean, atol=1e-6), name


def test_without_the_setting_nothing_is_kept(averaging: Config, tmp_path: Path) -> None:
    training = averaging.training.model_copy(update={"average": False})
    fitted(averaging.model_copy(update={"training": training}), tmp_path, [0.1, 0.5, 0.4])
    assert not (tmp_path / FOLDER).exists()


def test_weights_after_the_last_step_do_not_count(tmp_path: Path) -> None:
    weights = EvaluatedWeights(tmp_path)
    for step in (3, 6, 9):
        layer = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.constant_(layer.weight, float(step))
        weights.save(step, layer)  # type: ignore[arg-type]
    mean = weights.mean(last=6)
    assert mean is not None
    assert mean["weight"].item() == 4.5
    assert weights.mean(last=3) is None
    assert weights.mean(last=9, first=3) is None
    torch.nn.init.constant_(layer.weight, 1.0)
    weights.save(0, layer)  # type: ignore[arg-type]
    assert weights.steps() == [3, 6, 9]
    half = weights.mean(last=3, start=0.5)
    assert half is not None
    assert half["weight"].item() == 2.0


def test_another_model_has_its_share(averaging: Config, tmp_path: Path) -> None:
    other = run_folder(averaging, tmp_path / "other")
    mixed_in = MixedIn(model=str(tmp_path / "other"), share=0.25)
    training = averaging.training.model_copy(update={"epochs": 1, "average_with": mixed_in})
    config = averaging.model_copy(update={"training": training, "seed": 99})
    model, result = fitted(config, tmp_path / "own", [0.5, 0.6])
    (step,) = EvaluatedWeights(tmp_path / "own" / FOLDER).steps()
    own = load_file(tmp_path / "own" / FOLDER / f"{step}.safetensors")
    theirs = other.state_dict()
    for name, value in model.state_dict().items():
        assert torch.allclose(value, 0.25 * theirs[name] + 0.75 * own[name], atol=1e-6), name
    assert result.step == step  # type: ignore[attr-defined]
    name = "segment_head.weight"
    assert not torch.allclose(theirs[name], own[name], atol=1e-3)


def run_folder(
    config: Config, folder: Path, learnt: Sequence[LossPart] = LOSS_PARTS
) -> SegmentSpanModel:
    """A folder as a run leaves it, of one that learnt some parts."""
    model, _ = fitted(config, folder / "checkpoints", [0.1, 0.5, 0.4, 0.3])
    encoder = load_encoder(config.encoder)
    features = encoder.feature_config(config.windows)
    save_architecture(encoder, features, learnt, folder / "encoder")
    return model


def test_a_training_begins_with_the_mean_of_two_models(averaging: Config, tmp_path: Path) -> None:
    one = run_folder(averaging, tmp_path / "one").state_dict()
    two = run_folder(averaging.model_copy(update={"seed": 2}), tmp_path / "two").state_dict()
    mixed_in = MixedIn(model=str(tmp_path / "two"), share=0.25)
    begun = begun_with(load_encoder(str(tmp_path / "one")), mixed_in)
    found = all_weights(begun)
    assert found.keys() == one.keys()
    for name, value in found.items():
        assert torch.allclose(value, 0.75 * one[name] + 0.25 * two[name], atol=1e-6), name
    assert not torch.allclose(one["span_head.weight"], two["span_head.weight"], atol=1e-3)
    assert begun.name.endswith("mixed with 0.25 of two")


def test_what_only_one_of_two_models_learnt_is_answered_as_it_answers(
    averaging: Config, tmp_path: Path
) -> None:
    one = run_folder(averaging, tmp_path / "one", ["framed", "attributed"]).state_dict()
    seeded = averaging.model_copy(update={"seed": 2})
    two = run_folder(seeded, tmp_path / "two", ["framed", "attribution_spans"]).state_dict()
    mixed_in = MixedIn(model=str(tmp_path / "two"), share=0.25)
    begun = begun_with(load_encoder(str(tmp_path / "one")), mixed_in)
    assert begun.learnt == {"framed", "attributed", "attribution_spans"}
    assert begun.heads is not None
    for kind in ("weight", "bias"):
        segments, spans = begun.heads[f"segment_head.{kind}"], begun.heads[f"span_head.{kind}"]
        row = {axis: number for number, axis in enumerate(AXES)}
        first, second = one[f"segment_head.{kind}"], two[f"segment_head.{kind}"]
        assert torch.equal(segments[row["attributed"]], first[row["attributed"]])
        half = 0.75 * first[row["framed"]] + 0.25 * second[row["framed"]]
        assert torch.allclose(segments[row["framed"]], half, atol=1e-6)
        assert torch.equal(spans[: len(BIO_TAGS)], two[f"span_head.{kind}"][: len(BIO_TAGS)])


def test_a_model_has_no_share_in_what_it_never_learnt(averaging: Config, tmp_path: Path) -> None:
    theirs = run_folder(averaging, tmp_path / "other", ["framed"]).state_dict()
    own = {name: value + 1 for name, value in theirs.items()}
    found = with_share_of(own, MixedIn(model=str(tmp_path / "other"), share=0.25))
    added = (found["segment_head.bias"] - theirs["segment_head.bias"]).tolist()
    assert added == pytest.approx([0.75 if axis == "framed" else 1.0 for axis in AXES], abs=1e-6)
    assert torch.equal(found["span_head.bias"], own["span_head.bias"])


def test_what_only_the_model_that_is_mixed_in_has_learnt_is_its_own(
    averaging: Config, tmp_path: Path
) -> None:
    theirs = run_folder(averaging, tmp_path / "other").state_dict()
    other = MixedIn(model=str(tmp_path / "other"), share=0.25)
    own = {name: value + 1 for name, value in theirs.items()}
    found = with_share_of(own, other, ["framed"])
    added = (found["segment_head.bias"] - theirs["segment_head.bias"]).tolist()
    assert added == pytest.approx([0.75 if axis == "framed" else 0.0 for axis in AXES], abs=1e-6)
    assert torch.equal(found["span_head.bias"], theirs["span_head.bias"])
    assert parts_of(other) == set(LOSS_PARTS)
    assert parts_of(None) == set()


def test_only_trained_models_of_one_vocabulary_are_mixed(
    averaging: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = MixedIn(model=averaging.encoder, share=0.25)
    run_folder(averaging, tmp_path / "run")
    trained = MixedIn(model=str(tmp_path / "run"), share=0.5)
    with pytest.raises(EncoderError, match=r"training.begin_with: expected a run's folder or"):
        begun_with(load_encoder(trained.model), plain)
    with pytest.raises(EncoderError, match="encoder: expected a run's folder or an artifact"):
        begun_with(load_encoder(averaging.encoder), trained)
    with pytest.raises(EncoderError, match=r"training.average_with: expected .*/nowhere'"):
        mixable_model(
            load_encoder(averaging.encoder),
            MixedIn(model=str(tmp_path / "nowhere"), share=0.5),
            "average_with",
        )
    mixable_model(load_encoder(averaging.encoder), trained, "average_with")
    other = load_encoder(trained.model)
    other.tokenizer.add_tokens(["harbourmaster"])
    encoder = load_encoder(trained.model)
    monkeypatch.setattr(weight_averaging, "load_encoder", lambda _: other)
    with pytest.raises(TrainingError, match=r"with the word pieces of .* found others"):
        begun_with(encoder, trained)


def test_a_student_is_not_cut_out_of_two_models(tiny_config: Config) -> None:
    training = {"begin_with": {"model": "x", "share": 0.5}}
    settings = {**tiny_config.model_dump(), "training": training, "student": {"layers": 1}}
    with pytest.raises(ValueError, match=r"expected no 'student' beside 'training.begin_with'"):
        Config.model_validate(settings)


def test_positions_that_only_one_model_has_are_left_out_or_stay() -> None:
    name = "encoder.embeddings.position_embeddings.weight"
    heads = {
        f"{head}.{kind}": torch.zeros(8)
        for head in ("segment_head", "span_head")
        for kind in ("weight", "bias")
    }
    short = {**heads, name: torch.zeros(2, 1)}
    long = {**heads, name: torch.tensor([[1.0], [2.0], [3.0]])}
    assert mixed(short, long, 0.5)[name].tolist() == [[0.5], [1.0]]
    assert mixed(long, short, 0.5)[name].tolist() == [[0.5], [1.0], [3.0]]


def test_a_model_of_another_shape_is_not_mixed_in() -> None:
    one, other = {"a": torch.zeros(2), "b": torch.zeros(3)}, {"a": torch.ones(2)}
    for first, second in ((one, other), (other, one), (one, {**one, "b": torch.ones(2)})):
        with pytest.raises(TrainingError, match="same shape, found others in b"):
            mixed(first, second, 0.5)
    with pytest.raises(ValueError, match="expected 'average: true'"):
        Training.model_validate({"average_with": {"model": "x", "share": 0.5}})
