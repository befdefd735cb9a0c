from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from framelens_training.config import LOSS_PARTS
from framelens_training.errors import ConfigError
from framelens_training.settings_file import load_config
from framelens_training.settings_text import flatten, to_yaml

ROOT = Path(__file__).parents[2]
MINIMAL = "name: tiny\ncorpora:\n  use: [{name: starter}]\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, "utf-8")
    return path


def problems_of(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(write(folder, text), overrides)
    return "\n".join(caught.value.problems)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_config_loads(path: Path) -> None:
    assert load_config(path).name == path.stem


def test_defaults_are_resolved_and_read_back(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, MINIMAL))
    assert config.windows.max_tokens == 256
    again = load_config(write(tmp_path, to_yaml(config)))
    assert again == config
    assert again.digest() == config.digest()
    assert flatten(config.to_dict())["corpora.use.0.name"] == "starter"


def test_all_problems_come_in_one_report(tmp_path: Path) -> None:
    text = (
        "name: Tiny Model\nsead: 3\ncorpora:\n  use: []\n"
        "training: {epochs: two, learning_rat: 1e-4, dropout: 1.5}\n"
    )
    report = problems_of(tmp_path, text)
    for expected in (
        "name: ",
        "sead: unknown key; did you mean 'seed'?",
        "corpora.use: ",
        "training.epochs: ",
        "training.learning_rat: unknown key; did you mean 'learning_rate'?",
        "training.dropout: ",
    ):
        assert expected in report
    assert len(report.splitlines()) == 6


def test_a_fault_of_the_only_corpus_is_not_told_as_the_lack_of_one(tmp_path: Path) -> None:
    text = "name: tiny\ncorpora:\n  use: [{name: starter, wieght: 2}]\n"
    expected = "corpora.use.0.wieght: unknown key; did you mean 'weight'?"
    assert problems_of(tmp_path, text) == expected


def test_an_unknown_key_is_looked_for_in_all_sections(tmp_path: Path) -> None:
    keys = ("epochs=1", "epoch=1", "layers=2", "training.name=x", "training.epohs=1")
    found = problems_of(tmp_path, MINIMAL, *keys).splitlines()
    assert [line.partition("did you mean ")[2] for line in sorted(found)] == [
        "'training.epochs'?",
        "'training.epochs'?",
        "'student.layers'?",
        "'epochs'?",
        "'name' or 'corpora.use.0.name'?",
    ]


@pytest.mark.parametrize("value", [".inf", ".nan"])
def test_a_number_is_finite(tmp_path: Path, value: str) -> None:
    report = problems_of(
        tmp_path,
        f"{MINIMAL}training: {{learning_rate: {value}, loss_weights: {{framed: {value}}}}}\n",
    )
    assert "training.learning_rate: input should be a finite number" in report
    assert "training.loss_weights.framed: input should be a finite number" in report


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    assert "'seed' stands twice" in problems_of(tmp_path, MINIMAL + "seed: 1\nseed: 2\n")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("{{ name }}", "a list or a mapping as a key"),
        ("{[a, b]: 1}", "a list or a mapping as a key"),
        ("2024-02-30", "day"),
    ],
)
def test_a_value_that_yaml_cannot_read_is_told(tmp_path: Path, value: str, told: str) -> None:
    path = write(tmp_path, f"{MINIMAL}version: {value}\n")
    with pytest.raises(ConfigError, match=f"not YAML: .*{told}"):
        load_config(path)
    with pytest.raises(ConfigError, match=f"--set version=.*: not YAML: .*{told}"):
        load_config(write(tmp_path, MINIMAL), [f"version={value}"])


def test_what_is_expected_is_called_as_yaml_calls_it(tmp_path: Path) -> None:
    report = problems_of(tmp_path, "name: tiny\ncorpora: {use: starter}\ntraining: 3\n")
    assert "corpora.use: input should be a list; found 'starter'" in report
    assert "training: input should be a mapping; found 3" in report


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    write(tmp_path, MINIMAL)
    with pytest.raises(ConfigError, match=r"no such file; the config.* there are .*config.yaml"):
        load_config(tmp_path / "confg.yaml")


@pytest.mark.parametrize("text", ["- a list\n", "name: [unclosed\n", "just words"])
def test_what_is_no_mapping(tmp_path: Path, text: str) -> None:
    assert "expected a mapping" in problems_of(tmp_path, text) or "not YAML" in problems_of(
        tmp_path, text
    )


def test_overrides(tmp_path: Path) -> None:
    path = write(tmp_path, MINIMAL)
    config = load_config(path, ["training.epochs=7", "training.learning_rate=3e-5", "name=other"])
    assert (config.training.epochs, config.training.learning_rate) == (7, 3e-5)
    assert config.name == "other"
    weighted = load_config(path, ["corpora.use.0.weight=0.5"])
    assert [use.weight for use in weighted.corpora.use] == [0.5]
    report = problems_of(tmp_path, MINIMAL, "corpora.use.1.weight=2", "corpora.use.x.weight=2")
    assert "corpora.use.1 is not a section" in report
    assert "corpora.use.x is not a section" in report
    report = problems_of(tmp_path, MINIMAL, "training.epochs", "name.first=x", "training.epohs=2")
    assert "expected key=value" in report
    assert "name is not a section" in report
    assert "did you mean 'epochs'?" in report


def test_files_belong_to_the_corpus_files(tmp_path: Path) -> None:
    text = "name: own\ncorpora:\n  use: [{name: starter, files: {train: a.jsonl}}]\n"
    assert "exactly when name is 'files'" in problems_of(tmp_path, text)
    text = "name: own\ncorpora:\n  use: [{name: files, files: {trian: a.jsonl}}]\n"
    assert "trian" in problems_of(tmp_path, text)


def test_loss_weights_are_completed(tmp_path: Path) -> None:
    text = MINIMAL + "training:\n  loss_weights: {framed: 2.0}\n"
    weights = load_config(write(tmp_path, text)).training.loss_weights
    assert weights == {**dict.fromkeys(LOSS_PARTS, 1.0), "framed": 2.0}
    assert "loss_weights" in problems_of(
        tmp_path, MINIMAL + "training:\n  loss_weights: {framed: -1.0}\n"
    )
    nothing = ", ".join(f"{part}: 0" for part in LOSS_PARTS)
    assert "loss_weights: expected a weight above 0" in problems_of(
        tmp_path, f"{MINIMAL}training: {{loss_weights: {{{nothing}}}}}\n"
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("average_from: 2", "expected 'average: true' beside 'average_from'"),
        ("average_start: 0.4", "expected 'average: true' beside 'average_start'"),
        ("average: true, average_from: 4, epochs: 4", "'average_from' of at most 3"),
        ("average: true, average_from: 2, epochs: 1", "'average_from' of at most 1"),
        ("average: true, average_from: 5, average_start: 0.5", "'average_from' of at most 4"),
    ],
)
def test_a_mean_of_weights_that_would_not_be_taken_is_refused(
    tmp_path: Path, given: str, told: str
) -> None:
    assert told in problems_of(tmp_path, f"{MINIMAL}training: {{{given}}}\n")


@pytest.mark.parametrize(
    "given",
    ["average: true", "average: true, average_from: 3", "average: true, epochs: 1",
     "average: true, average_from: 4, average_start: 0.5"],
)  # fmt: skip
def test_a_mean_of_weights_that_can_be_taken(tmp_path: Path, given: str) -> None:
    assert load_config(write(tmp_path, f"{MINIMAL}training: {{{given}}}\n")).training.average


@pytest.mark.parametrize("setting", ["unlabelled_weight", "augmented_weight", "augmented_words"])
def test_a_setting_of_texts_that_are_not_named_is_refused(tmp_path: Path, setting: str) -> None:
    value = "minilm-l6" if setting == "augmented_words" else "0.5"
    text = f"{MINIMAL}teacher: runs/a\ndistillation: {{{setting}: {value}}}\n"
    told = f"distillation: expected '{setting.partition('_')[0]}' beside '{setting}'"
    assert told in problems_of(tmp_path, text)


@pytest.mark.parametrize("given", ["[0.8, 0.2]", "[0.505, 0.508]", "[0.0, 0.01]"])
def test_a_range_of_thresholds_has_one_in_it(tmp_path: Path, given: str) -> None:
    text = MINIMAL + f"evaluation: {{threshold_range: {given}}}\n"
    assert "threshold_range: expected [low, high] with a multiple" in problems_of(tmp_path, text)
    text = MINIMAL + "evaluation: {threshold_range: [0.5, 0.5]}\n"
    assert load_config(write(tmp_path, text)).evaluation.threshold_range == (0.5, 0.5)


def test_the_resolved_config_is_plain_yaml(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, MINIMAL))
    assert yaml.safe_load(to_yaml(config)) == config.to_dict()
