from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import framelens
from framelens.decoding import word_offsets
from framelens.features import FeatureConfig, Featurizer, WindowFeatures
from framelens.schema import AXES, BIO_TAGS, SPAN_LOGITS
from framelens_training import pipeline
from framelens_training.alignment import WordAnswers, aligned, limited, mean_answers, moved
from framelens_training.config import LOSS_PARTS, Config, LossPart, Student
from framelens_training.corpora.labelled import (
    CorpusError,
    GoldSegment,
    LabelledDocument,
    digest,
    read_jsonl,
    write_jsonl,
)
from framelens_training.crossval import crossvalidate
from framelens_training.data import load_corpora
from framelens_training.dataset import collate
from framelens_training.distillation import unlabelled_corpora, without_labels
from framelens_training.encoder import load_encoder, save_architecture
from framelens_training.errors import EncoderError, StudentError, TeacherError
from framelens_training.huggingface_teacher import load_classifier
from framelens_training.model import LossConfig, SegmentSpanModel, TorchNetwork, soft_loss
from framelens_training.pipeline import run, run_jointly
from framelens_training.predictions import predict
from framelens_training.preparation import taught_parts
from framelens_training.progress import silent
from framelens_training.quiet import quiet_libraries
from framelens_training.run_record import RunRecord
from framelens_training.run_weights import ARCHITECTURE
from framelens_training.soft_targets import answers_for, with_soft_targets
from framelens_training.student import load_student
from framelens_training.targets import featurize_document, labelled_window, learnt_parts
from framelens_training.teachers import NetworkTeacher, TorchTeacher, load_teacher, load_teachers
from framelens_training.tracker import NullTracker
from framelens_training.vocabulary import reduced_vocabulary
from support import VOCABULARY, make_tokenizer, tiny_documents, write_model

pytestmark = pytest.mark.training

PARTS = dict.fromkeys((*AXES, "attribution_spans", "loaded_spans"), 1.0)
ODD_TEXTS = (
    "",
    "The mayor said: “shameful plan”.",
    "zażółć gęślą jaźń",
    "東京都 の mayor",
    "e\u0301 \u200b emoji 👩‍🚒 x",
    "A" * 300,
)


def changed(config: Config, **changes: object) -> Config:
    return Config.model_validate({**config.model_dump(), **changes})


def run_folder(
    folder: Path, config: Config, seed: int = 7, learnt: Sequence[LossPart] = LOSS_PARTS
) -> Path:
    """A run's folder with a checkpoint of random weights, larger than training starts from."""
    encoder = load_encoder(config.encoder)
    torch.manual_seed(seed)
    model = SegmentSpanModel(encoder.module, 0.0, LossConfig({}, {}))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    checkpoint = folder / "checkpoints" / "checkpoint-1"
    checkpoint.mkdir(parents=True)
    from safetensors.torch import save_file

    save_file(model.state_dict(), checkpoint / "model.safetensors")
    save_architecture(encoder, encoder.feature_config(config.windows), learnt, folder / "encoder")
    return folder


@pytest.fixture
def taught_config(tmp_path: Path, tiny_config: Config) -> Config:
    """A run with a teacher, and a student that keeps all of it."""
    folder = run_folder(tmp_path / "teacher", tiny_config)
    return changed(tiny_config, teacher=str(folder), student={})


def student_model(config: Config) -> tuple[SegmentSpanModel, Featurizer]:
    """The student of a config before training, as a run makes it."""
    documents = [d for item in load_corpora(config) for d in item.splits["train"]]
    encoder = load_student(config, documents, load_teachers(config))
    model = SegmentSpanModel(encoder.module, 0.0, LossConfig({}, {}))
    model.load_state_dict(dict(encoder.heads or {}), strict=False)
    return model, encoder.featurizer(config.windows)


def window_logits(model: SegmentSpanModel, featurizer: Featurizer) -> np.ndarray:
    features = featurizer.featurize(["The mayor said so.", "Shameful plan!"], ["body", "body"])
    return np.concatenate(TorchNetwork(model)(features.windows[0]), axis=1)


def test_a_student_of_all_layers_answers_as_its_teacher(taught_config: Config) -> None:
    model, featurizer = student_model(taught_config)
    (teacher,) = load_teachers(taught_config)
    assert isinstance(teacher, TorchTeacher)
    expected = window_logits(teacher.model, teacher.featurizer)
    np.testing.assert_allclose(window_logits(model, featurizer), expected, atol=1e-5)
    assert np.abs(expected).max() > 0.5  # not the zeros of an untrained head


def test_a_run_goes_on_from_another_ones_weights(tmp_path: Path, tiny_config: Config) -> None:
    folder = run_folder(tmp_path / "runs" / "first-0123abcd", tiny_config)
    encoder = load_encoder(str(tmp_path / "runs"), dropout=0.25)
    assert encoder.module.config.hidden_dropout_prob == 0.25
    model = SegmentSpanModel(encoder.module, 0.0, LossConfig({}, {}))
    assert not model.load_state_dict(dict(encoder.heads or {}), strict=False).unexpected_keys
    model.eval()
    teacher = load_teacher(str(folder), tiny_config)
    assert isinstance(teacher, TorchTeacher)
    featurizer = encoder.featurizer(tiny_config.windows)
    expected = window_logits(teacher.model, teacher.featurizer)
    np.testing.assert_allclose(window_logits(model, featurizer), expected, atol=1e-5)
    assert np.abs(expected).max() > 0.5


def test_a_run_with_other_weights_is_not_gone_on_from(tmp_path: Path, tiny_config: Config) -> None:
    folder = run_folder(tmp_path / "run", tiny_config)
    (weights,) = folder.glob("checkpoints/*/model.safetensors")
    weights.write_bytes(b"cut off")
    with pytest.raises(EncoderError, match="expected the weights of the encoder"):
        load_encoder(str(folder))


def test_chosen_layers_are_copied_exactly(taught_config: Config) -> None:
    (teacher,) = load_teachers(taught_config)
    assert isinstance(teacher, TorchTeacher)
    model, _ = student_model(changed(taught_config, student={"layers": [1]}))
    theirs = teacher.encoder.module.encoder.layer[1].state_dict()
    ours = model.encoder.encoder.layer[0].state_dict()
    assert len(model.encoder.encoder.layer) == 1
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)


@pytest.mark.parametrize(("count", "expected"), [(1, [0]), (2, [0, 1])])
def test_a_number_of_layers_is_spread_evenly(
    taught_config: Config, count: int, expected: list[int]
) -> None:
    model, _ = student_model(changed(taught_config, student={"layers": count}))
    whole, _ = student_model(taught_config)
    for place, number in enumerate(expected):
        ours = model.encoder.encoder.layer[place].output.dense.weight
        assert torch.equal(ours, whole.encoder.encoder.layer[number].output.dense.weight)


def test_a_narrower_student_keeps_the_strongest_channels(taught_config: Config) -> None:
    settings = {"hidden_size": 16, "intermediate_size": 24}
    model, featurizer = student_model(changed(taught_config, student=settings))
    assert window_logits(model, featurizer).shape[1] == len(AXES) + len(SPAN_LOGITS)
    assert model.encoder.config.num_attention_heads == 1
    whole, _ = student_model(taught_config)
    small = model.encoder.embeddings.word_embeddings.weight
    large = whole.encoder.embeddings.word_embeddings.weight
    columns = [int((large == column[:, None]).all(0).nonzero()[0, 0]) for column in small.T]
    assert columns == sorted(set(columns))
    assert torch.equal(whole.span_head.weight[:, columns], model.span_head.weight)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": [0, 2]}, r"student.layers: expected numbers from 0 to 1, found 2"),
        ({"layers": 3}, r"student.layers: expected at most the encoder's 2, found 3"),
        ({"hidden_size": 20}, r"student.hidden_size: expected a multiple of .* 16, .* found 20"),
        ({"intermediate_size": 65}, r"student.intermediate_size: expected at most 64, found 65"),
        ({"vocabulary": 16}, r"student.vocabulary: expected from \d+ .* to \d+ .* found 16"),
    ],
)
def test_a_student_that_cannot_be_cut_is_refused(
    tiny_config: Config, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(StudentError, match=message):
        student_model(changed(tiny_config, student=settings))


def test_layers_out_of_order_are_refused_with_the_config() -> None:
    with pytest.raises(ValueError, match="rising numbers"):
        Student(layers=(2, 1))


def small_vocabulary(size: int) -> tuple[Featurizer, Featurizer]:
    """Featurizers with the whole vocabulary and with part of it."""
    texts = ["the road the road the plan", "a mayor"]
    tokenizer, _ = reduced_vocabulary(make_tokenizer(), texts, size)
    config = FeatureConfig(max_tokens=400)
    return Featurizer(make_tokenizer(), config), Featurizer(tokenizer, config)


def test_fewer_pieces_give_the_same_words() -> None:
    whole, small = small_vocabulary(len(VOCABULARY) - 20)
    for text in ODD_TEXTS:
        (one,), (other,) = (f.tokenize([text], ["body"]) for f in (whole, small))
        for ours, theirs in zip(word_offsets(one), word_offsets(other), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_the_most_frequent_pieces_stay_and_the_rest_is_spelt() -> None:
    _, small = small_vocabulary(len(VOCABULARY) - 20)
    tokenizer = make_tokenizer().from_str(small.tokenizer_json())
    kept = tokenizer.get_vocab()
    assert sorted(kept.values()) == list(range(len(VOCABULARY) - 20))
    assert {"the", "road", "plan", "mayor"} <= kept.keys()
    assert "shameful" not in kept
    encoding = tokenizer.encode("shameful road", add_special_tokens=False)
    assert encoding.tokens == ["s", *(f"##{c}" for c in "hameful"), "road"]
    assert "[UNK]" not in encoding.tokens


def test_pieces_are_counted_to_the_end_of_a_text() -> None:
    tokenizer = make_tokenizer()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=8)
    longest = "the the report report report"
    reduced, _ = reduced_vocabulary(tokenizer, [longest], len(VOCABULARY) - 24)
    assert reduced.token_to_id("report") is not None
    assert reduced.token_to_id("ranted") is None
    assert len(reduced.encode(longest).ids) == 5


def test_kept_embeddings_stay_with_their_pieces(taught_config: Config) -> None:
    size = len(VOCABULARY) - 10
    model, featurizer = student_model(changed(taught_config, student={"vocabulary": size}))
    whole, _ = student_model(taught_config)
    rows = model.encoder.embeddings.word_embeddings.weight
    assert rows.shape[0] == size
    vocabulary = json.loads(featurizer.tokenizer_json())["model"]["vocab"]
    for piece in ("[PAD]", "[SEP]", "minister", "##z", "."):
        theirs = whole.encoder.embeddings.word_embeddings.weight[VOCABULARY[piece]]
        assert torch.equal(rows[vocabulary[piece]], theirs)


def test_special_tokens_are_renumbered_everywhere() -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = make_tokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, VOCABULARY[name]) for name in ("[CLS]", "[SEP]")],
    )
    tokenizer.add_special_tokens(["[MASK]"])
    reduced, kept = reduced_vocabulary(tokenizer, ["the road"], len(VOCABULARY) - 20)
    ids = reduced.encode("the road").ids
    assert ids[0] == reduced.token_to_id("[CLS]")
    assert ids[-1] == reduced.token_to_id("[SEP]")
    assert tokenizer.encode("the road").ids == kept[ids].tolist()
    assert reduced.token_to_id("[MASK]") is not None


def soft(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor([rows], dtype=torch.float32)


def test_the_soft_loss_masks_and_vanishes_where_both_agree() -> None:
    torch.manual_seed(1)
    logits = torch.randn(2, 4, len(AXES) + len(SPAN_LOGITS), requires_grad=True)
    teacher = logits.detach().clone()
    assert float(soft_loss(logits, teacher, 2.0, PARTS).detach()) == pytest.approx(0.0, abs=1e-6)
    teacher[0, 1] += 3.0
    teacher[0, 1, 4] -= 5.0
    shown = soft_loss(logits, teacher, 2.0, PARTS)
    assert float(shown) > 0.1
    teacher[1] = float("nan")  # padding, or nobody spoke
    (gradient,) = torch.autograd.grad(soft_loss(logits, teacher, 2.0, PARTS), logits)
    assert torch.isfinite(gradient).all()
    assert bool((gradient[1] == 0).all())
    assert bool((gradient[0, 1] != 0).any())
    teacher[:] = float("nan")
    assert float(soft_loss(logits, teacher, 2.0, PARTS)) == 0.0


def test_the_temperature_leaves_the_size_of_small_gradients() -> None:
    logits = torch.zeros(1, 1, len(AXES) + len(SPAN_LOGITS), requires_grad=True)
    teacher = torch.full_like(logits, float("nan"))
    teacher[..., 0] = 0.05
    sizes = [
        float(torch.autograd.grad(soft_loss(logits, teacher, t, PARTS), logits)[0][0, 0, 0])
        for t in (1.0, 4.0)
    ]
    assert sizes[0] == pytest.approx(-0.0125, rel=1e-2)
    assert sizes[1] == pytest.approx(sizes[0], rel=1e-2)


def answers_of(words: int, value: float = 1.0) -> WordAnswers:
    starts = np.arange(words, dtype=np.int32) * 2
    logits = np.zeros((words, len(SPAN_LOGITS)), dtype=np.float16)
    logits[:, 1] = value
    return WordAnswers(np.ones(3, dtype=np.float16), starts, starts + 1, logits)


def test_answers_go_to_the_words_that_begin_in_the_teachers_words() -> None:
    (segment,) = Featurizer(make_tokenizer()).tokenize(["road-up, she"], ["body"])
    # The student has road - up , she; the teacher read road-up, and she, as two words.
    logits = np.zeros((2, len(SPAN_LOGITS)), dtype=np.float16)
    logits[0, BIO_TAGS.index("B-source")] = 6.0
    logits[1, BIO_TAGS.index("O")] = 6.0
    given = WordAnswers(
        np.zeros(3, dtype=np.float16), np.array([0, 9], "i4"), np.array([8, 12], "i4"), logits
    )
    found = aligned(given, segment)
    tags = [BIO_TAGS[i] for i in found[:, : len(BIO_TAGS)].argmax(axis=1)]
    assert tags == ["B-source", "I-source", "I-source", "I-source", "O"]
    np.testing.assert_array_equal(found[[0, 4]], logits)


def test_a_word_that_the_teacher_did_not_see_has_no_answer() -> None:
    (segment,) = Featurizer(make_tokenizer()).tokenize(["a b c"], ["body"])
    found = aligned(replace(answers_of(2)), segment)
    assert not np.isnan(found[:2]).any()
    assert np.isnan(found[2]).all()


def test_the_mean_is_over_the_teachers_that_have_an_answer() -> None:
    nothing = float("nan")
    one = np.array([1.0, nothing, nothing], dtype=np.float16)
    other = np.array([3.0, 5.0, nothing], dtype=np.float16)
    np.testing.assert_array_equal(mean_answers([one, other]), [2.0, 5.0, nothing])


def test_a_teacher_is_silent_on_what_it_never_learnt(tmp_path: Path, tiny_config: Config) -> None:
    folder = run_folder(tmp_path / "framing", tiny_config, learnt=["framed", "loaded_spans"])
    config = changed(tiny_config, teacher=[str(folder)])
    corpora = load_corpora(config)
    (teacher,) = load_teachers(config)
    for document in teacher.answer(corpora[0].splits["train"][:3]):
        for answers in document:
            assert np.isnan(answers.axes).tolist() == [axis != "framed" for axis in AXES]
            assert np.isnan(answers.words[:, :-1]).all()
            assert not np.isnan(answers.words[:, -1]).any()
    whole = load_teacher(str(run_folder(tmp_path / "whole", tiny_config)), config)
    assert whole.digest != teacher.digest


def test_a_teacher_is_heard_on_what_the_config_says(tmp_path: Path, tiny_config: Config) -> None:
    name = str(run_folder(tmp_path / "teacher", tiny_config))
    heard = {"heard_on": {name: ["framed", "loaded_spans"]}}
    config = changed(tiny_config, teacher=name, distillation=heard)
    (teacher,) = load_teachers(config)
    (answers, *_), *_ = teacher.answer(load_corpora(config)[0].splits["train"][:1])
    assert np.isnan(answers.axes).tolist() == [axis != "framed" for axis in AXES]
    assert np.isnan(answers.words).all(axis=0).tolist() == [*[True] * len(BIO_TAGS), False]
    (whole,) = load_teachers(changed(tiny_config, teacher=name))
    assert whole.digest != teacher.digest  # whose answers are kept apart
    cut = changed(config, student={"layers": 1})
    assert load_student(cut, [], [teacher]).learnt == set(LOSS_PARTS)  # heard or not
    with pytest.raises(ValueError, match="found runs/other"):
        changed(config, distillation={"heard_on": {"runs/other": ["framed"]}})
    other = str(run_folder(tmp_path / "spans", tiny_config, learnt=["attribution_spans"]))
    silent_one = {"heard_on": {other: ["framed"]}}
    with pytest.raises(TeacherError, match="expected a part that it learnt"):
        load_teachers(changed(tiny_config, teacher=other, distillation=silent_one))


def test_a_run_knows_which_parts_it_learnt(tiny_config: Config) -> None:
    featurizer = load_encoder(tiny_config.encoder).featurizer(tiny_config.windows)
    document = load_corpora(tiny_config)[0].splits["train"][0]
    bare = featurize_document(without_labels(document), featurizer)
    assert learnt_parts([bare]) == ()
    only = replace(document, annotated=frozenset({"framed"}), spans=())
    assert learnt_parts([bare, featurize_document(only, featurizer)]) == ("framed",)
    said = [answers_of(len(segment.words)) for segment in bare.features.segments]
    parts: tuple[LossPart, ...] = ("attribution_spans", "loaded_spans", "framed")
    for part in parts:
        spoken = with_soft_targets([bare], [[[limited(item, {part}) for item in said]]])
        assert learnt_parts(spoken) == (part,)
        assert learnt_parts(spoken, answers=False) == ()


def test_a_run_has_not_learnt_what_counts_for_nothing_in_its_loss(tiny_config: Config) -> None:
    featurizer = load_encoder(tiny_config.encoder).featurizer(tiny_config.windows)
    document = load_corpora(tiny_config)[0].splits["train"][0]
    item = featurize_document(document, featurizer)
    said = [answers_of(len(segment.words)) for segment in item.features.segments]
    spoken = with_soft_targets([item], [[[limited(row, {"framed"}) for row in said]]])
    weights = {"loaded_spans": 0.0, "boilerplate": 0.0}
    silenced = changed(
        tiny_config, training={**tiny_config.training.model_dump(), "loss_weights": weights}
    )
    rest = ["attributed", "framed", "attribution_spans"]
    assert taught_parts(tiny_config, [item]) == list(LOSS_PARTS)
    assert taught_parts(silenced, [item]) == rest
    labels_alone = {"teacher": "runs/a", "distillation": {"alpha": 0.0}}
    teacher_alone = {"teacher": "runs/a", "distillation": {"alpha": 1.0}}
    assert taught_parts(changed(tiny_config, **teacher_alone), spoken) == ["framed"]
    assert taught_parts(changed(silenced, **labels_alone), spoken) == rest
    bare = with_soft_targets(
        [featurize_document(without_labels(document), featurizer)],
        [[[limited(row, {"framed"}) for row in said]]],
    )
    assert taught_parts(changed(tiny_config, **labels_alone), bare) == []


def test_a_first_word_cannot_continue_a_span() -> None:
    row = np.zeros((1, len(SPAN_LOGITS)), dtype=np.float16)
    row[0, BIO_TAGS.index("I-cue")] = 5.0
    best = moved(row, beginning=True)[0, : len(BIO_TAGS)].argmax()
    assert BIO_TAGS[best] == "B-cue"
    nothing = np.full((1, len(SPAN_LOGITS)), np.nan, dtype=np.float16)
    assert np.isnan(moved(nothing, beginning=True)).all()


def test_soft_targets_stand_where_logits_are_read(tiny_config: Config) -> None:
    featurizer = load_encoder(tiny_config.encoder).featurizer(tiny_config.windows)
    (document,) = tiny_documents(1)
    item = featurize_document(document, featurizer)
    answers = [
        WordAnswers(
            np.full(3, number, dtype=np.float16),
            *(array.astype(np.int32) for array in word_offsets(segment)),
            np.full((int(segment.words.sum()), len(SPAN_LOGITS)), number, dtype=np.float16),
        )
        for number, segment in enumerate(item.features.segments, start=1)
    ]
    (taught,) = with_soft_targets([item], [[answers]])
    for features in taught.features.windows:
        window = labelled_window(features, taught.targets)
        batch = collate([window, labelled_window(features, item.targets)])
        found = batch["soft_targets"].numpy()
        assert np.isnan(found[1]).all()  # nobody spoke of the other window
        expected = np.full_like(found[0], np.nan)
        for piece, separator in zip(features.pieces, features.separators, strict=True):
            expected[separator, :3] = piece.segment + 1
            words = item.features.segments[piece.segment].words[piece.start : piece.end]
            begins = np.flatnonzero(words) + separator - piece.size
            expected[begins, 3:] = piece.segment + 1
        first = np.flatnonzero(~np.isnan(expected[:, 3]))[0]
        rest = np.arange(len(expected)) != first
        np.testing.assert_array_equal(found[0][rest], expected[rest])
        tags = found[0][first, 3 : 3 + len(BIO_TAGS)]
        assert tags[2::2].max() < tags[0] < tags[1::2].min(), "it can only begin a span"
        np.testing.assert_array_equal(batch["tag_targets"][0], batch["tag_targets"][1])
    assert "soft_targets" not in collate([labelled_window(features, item.targets)])
    (features,) = taught.features.windows
    silent = replace(taught.targets[0], soft=None)
    soft = labelled_window(features, (silent, *taught.targets[1:])).soft
    assert soft is not None
    known = ~np.isnan(soft[list(features.separators), 0])
    assert known.tolist() == [False, *[True] * (len(known) - 1)]


def test_answers_of_a_segment_that_was_cut_stand_at_its_words() -> None:
    size = 60
    document = LabelledDocument("d", "road " * size, segments=(GoldSegment("text", 0, 5 * size),))
    item = featurize_document(document, Featurizer(make_tokenizer(), FeatureConfig(32, 8)))
    said = np.repeat(np.arange(size, dtype=np.float16)[:, None], len(SPAN_LOGITS), axis=1)
    starts = np.arange(size, dtype=np.int32) * 5
    answers = WordAnswers(np.zeros(3, np.float16), starts, starts + 4, said)
    (taught,) = with_soft_targets([item], [[[limited(answers, {"attribution_spans"})]]])
    assert len(taught.features.windows) > 1
    for features in taught.features.windows:
        soft = labelled_window(features, taught.targets).soft
        assert soft is not None
        (piece,) = features.pieces
        words = soft[1 : 1 + piece.size, len(AXES) :]
        assert words[:, 0].tolist() == list(range(piece.start, piece.end))
        inside = words[:, BIO_TAGS.index("I-cue")]
        assert inside[0] < words[0, 0] - 40, "the first word that a window shows begins what it is"
        assert inside[1:].tolist() == words[1:, 0].tolist()


@dataclass
class CountingTeacher:
    """Answers at random, and counts how often it is asked."""

    digest: str
    name: str = "counting"
    asked: int = 0
    seen: frozenset[str] | None = None

    def answer(self, documents):  # type: ignore[no-untyped-def]
        for document in documents:
            self.asked += 1
            yield [answers_of(len(document.segment_text(s)) % 5) for s in document.segments]


def test_answers_are_kept_by_teacher_and_by_text(tmp_path: Path) -> None:
    documents = tiny_documents(3)
    key = digest(documents)
    teacher = CountingTeacher("a")
    first = answers_for(teacher, documents, key, tmp_path, silent)
    again = answers_for(teacher, documents, key, tmp_path, silent)
    assert teacher.asked == len(documents)
    for one, other in zip(first, again, strict=True):
        for left, right in zip(one, other, strict=True):
            for name in ("axes", "starts", "ends", "words"):
                np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    other_teacher = CountingTeacher("b")
    answers_for(other_teacher, documents, key, tmp_path, silent)
    assert other_teacher.asked == len(documents)
    answers_for(teacher, documents[:2], digest(documents[:2]), tmp_path, silent)
    assert teacher.asked == len(documents) + 2


def test_a_teacher_is_heard_at_the_first_words_of_windows_as_elsewhere() -> None:
    featurizer = Featurizer(make_tokenizer(), FeatureConfig(max_tokens=8, overlap=2))
    said = np.zeros(len(SPAN_LOGITS), dtype=np.float32)
    said[BIO_TAGS.index("B-content")] = 3.0

    def network(window: WindowFeatures) -> tuple[np.ndarray, np.ndarray]:
        size = len(window.input_ids)
        return np.zeros((size, len(AXES)), np.float32), np.tile(said, (size, 1))

    document = tiny_documents(1)[0]
    assert len(featurize_document(document, featurizer).features.windows) > 1
    (answers,) = NetworkTeacher("t", "d", featurizer, network).answer([document])
    words = np.concatenate([item.words for item in answers])
    assert (words == said).all()


def test_batches_of_a_teacher_answer_as_single_windows(taught_config: Config) -> None:
    (teacher,) = load_teachers(taught_config)
    assert isinstance(teacher, TorchTeacher)
    single = NetworkTeacher("one", "", teacher.featurizer, TorchNetwork(teacher.model))
    documents = tiny_documents(4)
    for ours, theirs in zip(teacher.answer(documents), single.answer(documents), strict=True):
        for left, right in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(left.axes, right.axes, atol=2e-2)
            np.testing.assert_allclose(left.words, right.words, atol=2e-2)
            np.testing.assert_array_equal(left.starts, right.starts)


def test_windows_are_read_side_by_side_as_one_by_one(taught_config: Config) -> None:
    (teacher,) = load_teachers(taught_config)
    assert isinstance(teacher, TorchTeacher)
    documents = tiny_documents(9)
    documents += [replace(d, segments=d.segments[:2], spans=()) for d in documents[:4]]
    items = [featurize_document(d, teacher.featurizer) for d in documents]
    network = TorchNetwork(teacher.model)
    windows = [window for item in items for window in item.features.windows]
    assert len({len(window.input_ids) for window in windows}) > 1
    for found, window in zip(network.many(windows), windows, strict=True):
        for ours, theirs in zip(found, network(window), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
    for found, item in zip(predict(network, items), items, strict=True):
        (expected,) = predict(network.__call__, [item])
        np.testing.assert_allclose(found.segments, expected.segments, atol=1e-5)
    assert network.many([]) == []


def test_every_form_of_teacher_is_found(tmp_path: Path, tiny_config: Config) -> None:
    folder = run_folder(tmp_path / "run", tiny_config)
    artifact = write_model(tmp_path / "artifact")
    write_model(tmp_path / "exported" / "model")
    assert isinstance(load_teacher(str(folder), tiny_config), TorchTeacher)
    checkpoint = folder / "checkpoints" / "checkpoint-1"
    checkpoint.joinpath("trainer_state.json").write_text("{}")
    assert load_teacher(str(checkpoint), tiny_config).digest == (
        load_teacher(str(folder), tiny_config).digest
    )
    for place in (artifact, tmp_path / "exported"):
        assert isinstance(load_teacher(str(place), tiny_config), NetworkTeacher)


def test_a_folder_of_one_run_stands_for_it(tmp_path: Path, tiny_config: Config) -> None:
    runs = tmp_path / "runs"
    folder = run_folder(runs / "first-0123abcd", tiny_config)
    found = load_teacher(str(runs), tiny_config)
    assert found.digest == load_teacher(str(folder), tiny_config).digest
    run_folder(runs / "second-4567cdef", tiny_config)
    with pytest.raises(TeacherError, match="found first-0123abcd, second-4567cdef"):
        load_teacher(str(runs), tiny_config)


def test_the_best_checkpoint_teaches(tmp_path: Path, tiny_config: Config) -> None:
    folder = run_folder(tmp_path / "run", tiny_config)
    later = run_folder(tmp_path / "later", tiny_config, seed=8)
    latest = folder / "checkpoints" / "checkpoint-12"
    later.joinpath("checkpoints", "checkpoint-1").rename(latest)
    without_state = load_teacher(str(folder), tiny_config).digest
    latest.joinpath("trainer_state.json").write_text('{"best_global_step": 1}')
    assert load_teacher(str(folder), tiny_config).digest != without_state


def test_teachers_that_do_not_fit_are_refused_in_one_report(
    tmp_path: Path, tiny_config: Config
) -> None:
    from transformers import BertConfig, BertModel

    folder = run_folder(tmp_path / "run", tiny_config)
    settings = BertConfig.from_pretrained(folder / "encoder")
    settings.intermediate_size = 48
    BertModel(settings).config.save_pretrained(folder / "encoder")
    (tmp_path / "empty").mkdir()
    bad = write_model(tmp_path / "artifact")
    row = json.loads((bad / "manifest.json").read_text())
    row["features"]["version"] = 99
    (bad / "manifest.json").write_text(json.dumps(row))
    config = changed(
        tiny_config, teacher=[str(folder), str(tmp_path / "empty"), str(bad), "no/such"]
    )
    with pytest.raises(TeacherError) as caught:
        load_teachers(config)
    report = str(caught.value)
    assert "intermediate.dense.weight has the shape (64, 32), expected (48, 32)" in report
    assert "found an empty folder" in report
    assert "expected feature version 1, found 99" in report
    assert "teacher 'no/such': expected a run's folder" in report


def test_a_run_without_its_architecture_is_read_with_the_configs_encoder(
    tmp_path: Path, tiny_config: Config
) -> None:
    import shutil

    folder = run_folder(tmp_path / "run", tiny_config)
    kept = load_teacher(str(folder), tiny_config).digest
    shutil.rmtree(folder / "encoder")
    assert load_teacher(str(folder), tiny_config).digest == kept


def test_a_cross_validation_takes_no_teacher(taught_config: Config) -> None:
    with pytest.raises(TeacherError, match="other folds hold out"):
        crossvalidate(taught_config, NullTracker(), folds=2, seeds=1, say=silent)


def test_a_classifier_of_hugging_face_teaches_what_its_labels_name(
    tmp_path: Path, tiny_config: Config
) -> None:
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    settings = BertConfig.from_pretrained(tiny_config.encoder)
    settings.id2label = {0: "neutral", 1: "Framed"}
    settings.label2id = {"neutral": 0, "Framed": 1}
    torch.manual_seed(3)
    model = BertForSequenceClassification(settings).eval()
    model.save_pretrained(tmp_path / "classifier")
    tokenizer = AutoTokenizer.from_pretrained(tiny_config.encoder)
    tokenizer.save_pretrained(tmp_path / "classifier")
    teacher = load_teacher(str(tmp_path / "classifier"), tiny_config)
    (document,) = tiny_documents(1)
    (answers,) = teacher.answer([document])
    text = document.segment_text(document.segments[1])
    ids = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
    ids = torch.tensor([[VOCABULARY["[CLS]"], *ids, VOCABULARY["[SEP]"]]])
    with torch.inference_mode():
        expected = model(input_ids=ids).logits[0]
    assert float(answers[1].axes[AXES.index("framed")]) == pytest.approx(
        float(expected[1] - expected[0]), abs=2e-3
    )
    assert np.isnan(answers[1].axes).tolist() == [axis != "framed" for axis in AXES]
    assert np.isnan(answers[1].words).all()
    assert teacher.learnt == {"framed"}
    heard = {"heard_on": {teacher.name: ["attributed"]}}
    with pytest.raises(TeacherError, match=r"expected a part that it learnt \(framed\)"):
        load_teachers(changed(tiny_config, teacher=teacher.name, distillation=heard))


def test_weights_of_either_format_tell_one_classifier_from_another(
    tmp_path: Path, tiny_config: Config
) -> None:
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    settings = BertConfig.from_pretrained(tiny_config.encoder)
    settings.id2label = {0: "neutral", 1: "Framed"}
    folder = tmp_path / "classifier"
    AutoTokenizer.from_pretrained(tiny_config.encoder).save_pretrained(folder)
    digests = set()
    for seed in (3, 4):
        torch.manual_seed(seed)
        model = BertForSequenceClassification(settings)
        model.save_pretrained(folder)
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        digests.add(load_teacher(str(folder), tiny_config).digest)
    assert len(digests) == 2


def test_a_classifier_may_have_any_kind_of_positions(tmp_path: Path, tiny_config: Config) -> None:
    from transformers import (
        AutoTokenizer,
        BertConfig,
        BertForSequenceClassification,
        ModernBertConfig,
        ModernBertForSequenceClassification,
        RobertaConfig,
        RobertaForSequenceClassification,
    )

    sizes: dict[str, Any] = {
        "vocab_size": len(VOCABULARY), "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_labels": 2,
        "id2label": {0: "neutral", 1: "framed"},
    }  # fmt: skip

    def longest(model: Any) -> int:
        folder = tmp_path / "classifier"
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(tiny_config.encoder).save_pretrained(folder)
        teacher = load_teacher(str(folder), tiny_config)
        (answers,) = teacher.answer(tiny_documents(1))
        assert np.isfinite(answers[1].axes[AXES.index("framed")])
        return int(load_classifier(folder)[0].config.max_tokens)

    bert = BertConfig(**sizes, max_position_embeddings=64)
    assert longest(BertForSequenceClassification(bert)) == 64
    # Its table of positions begins after the padding token's id.
    roberta = RobertaConfig(**sizes, max_position_embeddings=66, pad_token_id=1)
    assert longest(RobertaForSequenceClassification(roberta)) == 64
    # No table, and a padding token that stands behind all others.
    special = {f"{name}_token_id": len(VOCABULARY) - 1 for name in ("pad", "cls", "sep")}
    modern = ModernBertConfig(**sizes, **special, max_position_embeddings=64)
    assert longest(ModernBertForSequenceClassification(modern)) == 64

    short = BertConfig(**sizes, max_position_embeddings=2)
    with pytest.raises(TeacherError, match=r"positions for 3 tokens or more .* found 2"):
        longest(BertForSequenceClassification(short))


def test_a_classifier_of_other_labels_is_refused(tmp_path: Path, tiny_config: Config) -> None:
    from transformers import AutoTokenizer, BertConfig, BertForTokenClassification

    settings = BertConfig.from_pretrained(tiny_config.encoder)
    settings.num_labels = 3
    BertForTokenClassification(settings).save_pretrained(tmp_path / "tags")
    AutoTokenizer.from_pretrained(tiny_config.encoder).save_pretrained(tmp_path / "tags")
    with pytest.raises(TeacherError, match="all of the labels O, B-source"):
        load_teacher(str(tmp_path / "tags"), tiny_config)


def test_unlabelled_texts_are_segmented_and_held_out_ones_left_out(
    tmp_path: Path, tiny_config: Config
) -> None:
    text = "The road to the plan was closed on a day in the news. She said so to the mayor."
    held = read_jsonl(Path((tiny_config.corpora.use[0].files or {})["test"]))
    shared = "The minister said road number nine was closed again."
    leak = replace(held[0], text=held[0].text + "\n\n" + shared)
    rows = [
        {"id": "own", "headline": "The plan", "text": text},
        {"id": "first line", "text": "A plan for the road\n\n" + text},
        {"id": "held out", "text": "\n\n".join(held[0].segment_text(s) for s in leak.segments)},
    ]
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    teacher = str(write_model(tmp_path / "artifact"))
    config = changed(
        tiny_config,
        teacher=teacher,
        distillation={"unlabelled": [str(path)], "unlabelled_weight": 0.5},
    )
    lines: list[str] = []
    (found,) = unlabelled_corpora(config, load_corpora(config), lines.append)
    documents = found.splits["train"]
    assert [document.id for document in documents] == ["own", "first line"]
    assert lines == [f"Unlabelled {path}: 1 left out, held out elsewhere"]
    assert found.weight == 0.5
    for document, headline in zip(documents, ("The plan", "A plan for the road"), strict=True):
        fields = [(s.field, document.segment_text(s)) for s in document.segments]
        assert fields[0] == ("headline", headline)
        assert [words for _, words in fields[1:]] == [
            "The road to the plan was closed on a day in the news.",
            "She said so to the mayor.",
        ]
        assert not document.annotated


def test_a_row_without_text_is_named(tmp_path: Path, tiny_config: Config) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"id": "a", "text": "The road."}\n{"id": "b"}\n{"id": "c", "text": 3}\n')
    config = changed(
        tiny_config, teacher="x", distillation={"unlabelled": [str(path)], "alpha": 0.5}
    )
    with pytest.raises(CorpusError, match=r"2 problem\(s\)") as refused:
        unlabelled_corpora(config, [], silent)
    assert "expected a field 'text', found id" in str(refused.value)


def unlabelled_copy(documents: list[LabelledDocument], axis: str) -> list[LabelledDocument]:
    """Documents on which nobody annotated one axis."""
    return [
        replace(
            document,
            annotated=document.annotated - {axis},
            segments=tuple(replace(s, **{axis: None}) for s in document.segments),
        )
        for document in documents
    ]


def test_the_student_learns_what_only_its_teacher_knows(
    tmp_path: Path, tiny_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody annotated `boilerplate`; the lookup graph knows it by the word "sign"."""
    own: dict[str, str] = {}
    for name, path in (tiny_config.corpora.use[0].files or {}).items():
        documents = read_jsonl(Path(path))
        if name == "train":
            documents = unlabelled_copy(documents, "boilerplate")
        own[name] = str(tmp_path / f"{name}.jsonl")
        write_jsonl(documents, Path(own[name]))
    artifact = write_model(tmp_path / "artifact")
    # The graph gives all segments of a window one answer, so it is asked about each alone.
    teacher = replace(load_teacher(str(artifact), tiny_config), alone=True)
    monkeypatch.setattr(pipeline, "load_teachers", lambda config: [teacher])
    config = changed(
        tiny_config,
        corpora={"use": [{"name": "files", "files": own}]},
        training={**tiny_config.training.model_dump(), "epochs": 6, "patience": 6},
        teacher=str(artifact),
        student={"layers": [0], "vocabulary": len(VOCABULARY) - 8},
    )
    with quiet_libraries():
        result = run(config, NullTracker(), silent)
    scorer = framelens.load(result.artifact)
    assert "layers 0" in scorer.artifact.manifest.encoder
    assert result.flat()["test/boilerplate/f1"] > 0.9
    (article,) = tiny_documents(1, 300)
    document = scorer.score(article.text, article.headline)
    scores = [segment.scores["boilerplate"] for segment in document.segments]
    assert document.segments[-1].text.startswith("Sign up")
    assert scores[-1] > 0.5 > max(scores[:-1])


def test_after_its_training_a_run_needs_no_teacher(
    taught_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    with monkeypatch.context() as context, quiet_libraries():
        context.setattr(pipeline, "assess", _stopped)
        with pytest.raises(KeyboardInterrupt):
            run(taught_config, NullTracker(), silent)
    (folder,) = Path(taught_config.output).iterdir()
    before = (folder / ARCHITECTURE / "features.json").read_bytes()
    origins = RunRecord.read(folder).origins
    shutil.rmtree(taught_config.teacher[0])
    with quiet_libraries():
        result = run_jointly(taught_config, NullTracker(), silent, resumed=folder)
    assert result is not None
    assert framelens.load(result.artifact).score("The mayor said so.").status == "ok"
    assert (folder / ARCHITECTURE / "features.json").read_bytes() == before
    assert RunRecord.read(folder).origins == origins != {}


def _stopped(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_labels_alone_train_as_before(tiny_config: Config) -> None:
    """Masks of labels stay: a window without teachers has the loss that it had."""
    encoder = load_encoder(tiny_config.encoder)
    featurizer = encoder.featurizer(tiny_config.windows)
    items = [featurize_document(d, featurizer) for d in tiny_documents(2)]
    batch = collate([labelled_window(w, i.targets) for i in items for w in i.features.windows])
    model = SegmentSpanModel(encoder.module, 0.0, LossConfig(PARTS, PARTS)).eval()
    nothing = [without_labels(item.document) for item in items]
    empty = collate(
        [
            labelled_window(w, i.targets)
            for i in (featurize_document(d, featurizer) for d in nothing)
            for w in i.features.windows
        ]
    )
    with torch.inference_mode():
        losses = [float(model(**given)["loss"]) for given in (batch, empty)]
    assert losses[0] > 0.5
    assert losses[1] == 0.0
    assert empty["input_ids"].shape == batch["input_ids"].shape
