from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from framelens_training.augmentation import augmented, changed, word_neighbours
from framelens_training.config import Config
from framelens_training.corpora.labelled import GoldSegment, LabelledDocument, digest
from framelens_training.data import load_corpora
from framelens_training.distillation import unlabelled_corpora
from framelens_training.encoder import Encoder, load_encoder
from framelens_training.errors import EncoderError
from framelens_training.progress import silent
from support import VOCABULARY

pytestmark = pytest.mark.training

NEAR = {"shameful": ("mean", "low"), "mayor": ("governor",)}
SENTENCE = "The SHAMEFUL Mayor doesn't see the mayor's (shameful) plan, one, two, three."


@pytest.fixture
def encoder(tiny_config: Config) -> Encoder:
    """An encoder in whose embeddings "shameful" is near "ranted", and no other word near any."""
    loaded = load_encoder(tiny_config.encoder)
    table = loaded.module.get_input_embeddings().weight
    torch.manual_seed(1)
    with torch.no_grad():
        table.copy_(torch.nn.init.orthogonal_(torch.empty(table.shape)))
        width = table.shape[1]
        table[:width] = torch.eye(width)[: len(table[:width])]
        table[width:] = -table[0]
        for word, values in {
            "shameful": (1.0, 0.0),
            "ranted": (0.9, 0.1),
            "road": (0.7, 0.7),
        }.items():
            table[VOCABULARY[word]] = torch.zeros(width)
            table[VOCABULARY[word], :2] = torch.tensor(values)
    return loaded


def copies(
    seed: int, count: int = 300, others: tuple[str, ...] = ("a b c d e f g h",)
) -> list[str]:
    generator = np.random.default_rng(seed)
    return [changed(SENTENCE, others, NEAR, generator) for _ in range(count)]


def test_words_are_exchanged_in_their_own_case() -> None:
    found = " ".join(copies(1)).split()
    assert {"MEAN", "LOW", "Governor", "(mean)", "(low)", "SHAMEFUL", "Mayor"} <= set(found)
    assert {"governor", "Mean", "doesn", "governor's"}.isdisjoint(found)


def test_copies_are_spliced_and_have_gaps() -> None:
    made = copies(2)
    words = SENTENCE.split()
    assert any(item.endswith("f g h") and item.startswith("The") for item in made)
    gapped = [item for item in made if len(item.split()) < len(words) and item.endswith("three.")]
    assert len(gapped) > 20
    assert all(len(item.split()) >= len(words) - len(words) // 3 for item in gapped)


def test_a_short_sentence_is_neither_spliced_nor_cut() -> None:
    generator = np.random.default_rng(3)
    made = {changed("Sign up  here", [SENTENCE], NEAR, generator) for _ in range(100)}
    assert made == {"Sign up here"}


def test_neighbours_are_the_nearest_whole_words(encoder: Encoder) -> None:
    found = word_neighbours(encoder, ["Shameful, said the mayor; she ranted on Unheardof road."])
    assert found["shameful"] == ("ranted", "road")
    assert found["ranted"][0] == "shameful"
    assert {"the", "on", "she", "unheardof"}.isdisjoint(found)
    others = {word for words in found.values() for word in words}
    assert all(word.isalpha() and word.islower() and word in VOCABULARY for word in others)


def test_an_article_is_copied_as_one_and_has_no_labels(encoder: Encoder) -> None:
    text = "The shameful mayor said so. The road."
    segments = (
        GoldSegment("headline", 0, 13, framed=True),
        GoldSegment("text", 0, 27, framed=True, attributed=True),
        GoldSegment("text", 28, 37, framed=False),
    )
    annotated = frozenset({"framed", "attributed"})
    document = LabelledDocument("d", text, "Shameful road", annotated=annotated, segments=segments)
    neighbours = word_neighbours(encoder, [text, "Shameful road"])
    found = augmented([document], 40, neighbours)
    assert len({item.id for item in found}) == len(found) == 40
    assert not any(item.annotated or item.spans for item in found)
    assert {item.headline for item in found} <= {
        f"{first} {second}"
        for first in ("Shameful", "Ranted", "Road")
        for second in ("shameful", "ranted", "road")
    }
    assert len({item.headline for item in found}) > 3
    bodies = {item.text.split("\n")[0] for item in found}
    assert bodies == {f"The {word} mayor said so." for word in ("shameful", "ranted", "road")}
    for item in found:
        assert [s.field for s in item.segments] == ["headline", "text", "text"]
        assert all(s.framed is None for s in item.segments)
        words = [item.segment_text(s) for s in item.segments]
        assert words == [item.headline, *item.text.split("\n")]
    assert digest(found) == digest(augmented([document], 40, neighbours))


def test_a_lone_headline_stays_one(encoder: Encoder) -> None:
    document = LabelledDocument(
        "d", "", "Shameful road", segments=(GoldSegment("headline", 0, 13),)
    )
    (found,) = augmented([document], 1, word_neighbours(encoder, ["Shameful road"]))
    assert found.text == ""
    assert found.segments == (GoldSegment("headline", 0, len(found.headline or "")),)


def test_a_run_learns_copies_of_its_training_split_only(tiny_config: Config) -> None:
    data = tiny_config.model_dump()
    data |= {"teacher": "x", "distillation": {"augmented": {"files": 2}, "augmented_weight": 0.5}}
    config = Config.model_validate(data)
    labelled = load_corpora(config)
    (made,) = unlabelled_corpora(config, labelled, silent)
    train = labelled[0].splits["train"]
    assert made.name == "augmented files"
    assert made.weight == 0.5
    assert len(made.splits["train"]) == 2 * len(train)
    assert [len(d.segments) for d in made.splits["train"][::2]] == [len(d.segments) for d in train]
    assert not made.splits["validation"]
    assert not made.splits["test"]
    again = Config.model_validate({**data, "seed": config.seed + 1})
    (other,) = unlabelled_corpora(again, load_corpora(again), silent)
    assert other.digests == made.digests  # so that one asking of the teachers serves all seeds


def test_the_words_of_another_encoder_may_tell_what_is_near(
    tmp_path: Path, tiny_config: Config
) -> None:
    data = {**tiny_config.model_dump(), "teacher": "x", "encoder": str(tmp_path / "none")}
    for words, known in ((tiny_config.encoder, True), (None, False)):
        data["distillation"] = {"augmented": {"files": 1}, "augmented_words": words}
        config = Config.model_validate(data)
        with contextlib.nullcontext() if known else pytest.raises(EncoderError, match="none"):
            assert unlabelled_corpora(config, load_corpora(config), silent)


def test_copies_of_a_corpus_that_is_not_used_are_refused(tiny_config: Config) -> None:
    data = {**tiny_config.model_dump(), "teacher": "x", "distillation": {"augmented": {"babe": 1}}}
    with pytest.raises(ValidationError, match=r"distillation.augmented: expected .* found babe"):
        Config.model_validate(data)
