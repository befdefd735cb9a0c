from __future__ import annotations

from framelens_training.config import Config
from framelens_training.data import load_corpora


def test_corpora_of_one_name_are_told_apart(tiny_config: Config) -> None:
    row = tiny_config.to_dict()
    (use,) = row["corpora"]["use"]
    row["corpora"]["use"] = [use, {**use, "weight": 0.5}]
    loaded = load_corpora(Config.model_validate(row))
    assert [(item.name, item.weight) for item in loaded] == [("files", 1.0), ("files 2", 0.5)]
    assert loaded[0].digests == loaded[1].digests
