"""Teachers that left documents out, and who is heard on what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from framelens.decoding import word_offsets
from framelens.features import Featurizer
from framelens.schema import AXES, BIO_TAGS, SPAN_LOGITS
from framelens_training import encoder as encoders
from framelens_training import origins
from framelens_training.alignment import WordAnswers, limited, pooled, preferred_mean
from framelens_training.augmentation import augmented
from framelens_training.config import LOSS_PARTS, Config, LeftOut, LossPart
from framelens_training.corpora.labelled import (
    GoldSegment,
    LabelledDocument,
    digest,
    read_jsonl,
    write_jsonl,
)
from framelens_training.corpora.splits import SplitFile
from framelens_training.data import (
    LoadedCorpus,
    divided_together,
    documents_of,
    load_corpora,
    without_part,
)
from framelens_training.distillation import taught
from framelens_training.encoder import load_encoder
from framelens_training.errors import TeacherError
from framelens_training.pipeline import run, run_jointly
from framelens_training.progress import silent
from framelens_training.quiet import quiet_libraries
from framelens_training.seen_texts import fingerprint, read_seen
from framelens_training.targets import LabelledFeatures, featurize_document
from framelens_training.teachers import load_teacher, role_of
from framelens_training.tracker import NullTracker
from support import tiny_documents, write_model

pytestmark = pytest.mark.training

NAN = float("nan")


@pytest.fixture
def distinct_config(tiny_config: Config, tmp_path: Path) -> Config:
    """The tiny corpus with texts that differ from split to split."""
    files = {
        split: distinct(read_jsonl(Path(path)), tmp_path / f"{split}.jsonl", number)
        for number, (split, path) in enumerate((tiny_config.corpora.use[0].files or {}).items())
    }
    return with_corpora(tiny_config, use=[{"name": "files", "files": files}])


def distinct(documents: Sequence[LabelledDocument], path: Path, number: int) -> str:
    """The path of documents whose headlines end in a character of their own."""
    changed = [
        replace(d, headline=f"{(d.headline or '')[:-1]}{chr(0x3400 + 100 * number + n)}")
        for n, d in enumerate(documents)
    ]
    write_jsonl(changed, path)
    return str(path)


def with_corpora(config: Config, **changes: object) -> Config:
    data = config.model_dump()
    return Config.model_validate({**data, "corpora": {**data["corpora"], **changes}})


def parts_of(config: Config, count: int) -> list[set[str]]:
    """The ids of the training documents that each part leaves out."""
    whole = {d.id for d in documents_of(load_corpora(config), "train")}
    found = []
    for part in range(1, count + 1):
        corpora = load_corpora(with_corpora(config, left_out={"part": part, "of": count}))
        found.append(whole - {d.id for d in documents_of(corpora, "train")})
        assert len(documents_of(corpora, "validation")) == 5
        assert corpora[0].digests["train"] == digest(corpora[0].splits["train"])
    return found


def test_the_parts_that_are_left_out_make_up_the_whole(tiny_config: Config) -> None:
    whole = {d.id for d in documents_of(load_corpora(tiny_config), "train")}
    parts = parts_of(tiny_config, 3)
    assert set().union(*parts) == whole
    assert sum(map(len, parts)) == len(whole)
    assert min(map(len, parts)) >= 4
    other_seed = Config.model_validate({**tiny_config.model_dump(), "seed": 99})
    assert parts_of(other_seed, 3) == parts  # teachers of all seeds share the parts


def test_a_text_of_two_corpora_is_left_out_of_both(tiny_config: Config) -> None:
    """As an article of PolNeAR is that was judged for its framing as well."""
    (one,) = load_corpora(tiny_config)
    others = [replace(d, id=f"judged/{n}") for n, d in enumerate(one.splits["train"])]
    other = replace(one, name="judged", use="judged", splits={**one.splits, "train": others})
    apart = replace(
        other,
        name="apart",
        use="apart",
        splits={"train": [replace(d, text=f"{d.text} .") for d in others]},
    )
    corpora = [replace(one, name="one", use="one"), apart, other]
    assert divided_together(corpora) == [[1], [0, 2]]
    parts = [without_part(corpora, LeftOut(part=part, of=3)) for part in (1, 2, 3)]
    for first, _, second in parts:
        texts = [{fingerprint(d) for d in item.splits["train"]} for item in (first, second)]
        assert texts[0] == texts[1]
        assert len(texts[0]) < len(others)


def test_a_corpus_made_of_others_texts_is_divided_with_them(tiny_config: Config) -> None:
    """As the judged lines are, whose sentences stand in PolNeAR's articles."""
    (one,) = load_corpora(tiny_config)

    def of(name: str) -> LoadedCorpus:
        own = [
            replace(d, id=f"{name}/{d.id}", text=f"{d.text} {name}") for d in one.splits["train"]
        ]
        return replace(one, name=name, use=name, splits={"train": own})

    corpora = [of("polnear"), of("starter"), of("babe"), of("article-extraction")]
    assert divided_together(corpora) == [[0], [1], [2], [3]]
    corpora.append(of("judged-lines"))
    assert divided_together(corpora) == [[1], [3], [0, 2, 4]]


def test_a_corpus_of_fewer_articles_than_parts_stays_whole(tiny_config: Config) -> None:
    config = with_corpora(tiny_config, left_out={"part": 1, "of": 17})
    assert len(documents_of(load_corpora(config), "train")) == 16


@pytest.mark.parametrize(
    "wrong", [{"part": 4, "of": 3}, {"part": 0, "of": 3}, {"part": 1, "of": 1}]
)
def test_a_part_that_is_not_there_is_refused(tiny_config: Config, wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="left_out"):
        with_corpora(tiny_config, left_out=wrong)


@dataclass
class Answering:
    """A teacher that answers every question with one number."""

    value: float
    seen: frozenset[str] | None
    learnt: frozenset[LossPart] = frozenset(LOSS_PARTS)
    asked: int = 0

    @property
    def name(self) -> str:
        """What a config would call it."""
        return f"answering {self.value}"

    @property
    def digest(self) -> str:
        """Answers are kept by it."""
        return f"{self.value}"

    def answer(self, documents: Sequence[LabelledDocument]) -> Iterator[list[WordAnswers]]:
        """One number, everywhere that it learnt anything of."""
        featurizer = FEATURIZER[0]
        for document in documents:
            self.asked += 1
            segments = featurizer.tokenize(
                [document.segment_text(s) for s in document.segments],
                [role_of(s) for s in document.segments],
            )
            rows = []
            for segment in segments:
                starts, ends = (array.astype(np.int32) for array in word_offsets(segment))
                axes = np.full(3, self.value, dtype=np.float16)
                words = np.full((len(starts), len(SPAN_LOGITS)), self.value, dtype=np.float16)
                rows.append(limited(WordAnswers(axes, starts, ends, words), self.learnt))
            yield rows


FEATURIZER: list[Featurizer] = []
NO_FURNITURE = frozenset(LOSS_PARTS) - {"boilerplate"}


@pytest.fixture
def corpus(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[LoadedCorpus, list[LabelledFeatures]]:
    """A corpus and its features; answers are kept in a folder of their own."""
    monkeypatch.setenv("FRAMELENS_CACHE", str(tmp_path / "cache"))
    FEATURIZER[:] = [load_encoder(tiny_config.encoder).featurizer(tiny_config.windows)]
    (item,) = load_corpora(tiny_config)
    return item, [featurize_document(d, FEATURIZER[0]) for d in item.splits["train"]]


def heard(features: LabelledFeatures) -> tuple[list[float], float]:
    """The answers of the first body segment: its axes, and its first word."""
    headline, soft = (target.soft for target in features.targets[:2])
    assert headline is not None
    assert np.isnan(headline.axes).tolist() == [False, False, True]  # no page furniture
    assert soft is not None
    return soft.axes.tolist(), float(soft.words[features.features.segments[1].words][0, 0])


def test_those_are_heard_who_never_saw_a_document(
    corpus: tuple[LoadedCorpus, list[LabelledFeatures]],
) -> None:
    item, features = corpus
    texts = [fingerprint(d) for d in item.splits["train"]]
    teachers = [
        Answering(1.0, frozenset(texts[2:])),
        Answering(2.0, frozenset({*texts[:1], *texts[3:]}), NO_FURNITURE),
        Answering(6.0, None),  # nobody knows what it was trained on
    ]
    found = taught(teachers, [item], features, silent, unseen=True)
    assert heard(found[0]) == ([1.0, 1.0, 1.0], 1.0)
    assert heard(found[1]) == ([1.5, 1.5, 1.0], 1.5)
    # The only stranger has no answer on the last axis: there all others are heard.
    assert heard(found[2]) == ([2.0, 2.0, 3.5], 2.0)
    assert heard(found[3]) == ([3.0, 3.0, 3.5], 3.0)  # all saw it
    everyone = taught(teachers, [item], features, silent)
    assert {heard(row)[1] for row in everyone} == {3.0}
    again = [teacher.asked for teacher in teachers]
    assert taught(teachers, [item], features, silent)[0].targets[0].soft is not None
    assert [teacher.asked for teacher in teachers] == again  # answers are kept


def test_nobody_is_asked_about_what_strangers_answer_for(
    corpus: tuple[LoadedCorpus, list[LabelledFeatures]],
) -> None:
    item, features = corpus
    texts = [fingerprint(d) for d in item.splits["train"]]
    first, others = frozenset(texts[:1]), frozenset(texts[1:])
    teachers = [Answering(1.0, first), Answering(2.0, others, NO_FURNITURE)]
    taught(teachers, [item], features, silent, unseen=True)
    # About the first document the second teacher knows nothing of page furniture, and so both.
    assert [teacher.asked for teacher in teachers] == [len(features), 1]


def test_copies_are_answered_for_by_those_who_never_saw_what_they_are_made_of(
    corpus: tuple[LoadedCorpus, list[LabelledFeatures]],
) -> None:
    item, _ = corpus
    originals = list(item.splits["train"][:2])
    copies = augmented(originals, 1, {})
    made = replace(
        item, name="augmented files", splits={"train": copies}, digests={"train": digest(copies)},
        origins=originals,
    )  # fmt: skip
    features = [featurize_document(copy, FEATURIZER[0]) for copy in copies]
    first, second = (frozenset({fingerprint(document)}) for document in originals)
    found = taught(
        [Answering(1.0, first), Answering(2.0, second)], [made], features, silent, unseen=True
    )
    assert [heard(row)[1] for row in found] == [2.0, 1.0]


def test_nobody_is_asked_about_a_corpus_that_labels_alone_teach(
    corpus: tuple[LoadedCorpus, list[LabelledFeatures]], tiny_config: Config
) -> None:
    item, features = corpus
    teacher = Answering(4.0, None)
    both = [item, replace(item, name="untaught", taught=frozenset())]
    found = taught([teacher], both, [*features, *features], silent)
    assert teacher.asked == len(features)
    assert all(target.soft is not None for row in found[: len(features)] for target in row.targets)
    assert found[len(features) :] == features
    use = tiny_config.model_dump()["corpora"]["use"][0]
    (loaded,) = load_corpora(with_corpora(tiny_config, use=[{**use, "taught": False}]))
    assert not loaded.taught


def test_a_corpus_is_taught_on_some_parts_by_those_who_learnt_them(
    corpus: tuple[LoadedCorpus, list[LabelledFeatures]], tiny_config: Config
) -> None:
    item, features = corpus
    of_framing = Answering(1.0, None, frozenset({"framed"}))
    learnt: frozenset[LossPart] = frozenset({"attribution_spans", "attributed", "framed"})
    of_spans = Answering(6.0, None, learnt)
    parts: frozenset[LossPart] = frozenset({"attribution_spans", "attributed"})
    found = taught(
        [of_framing, of_spans], [replace(item, taught=parts)], features, silent, unseen=True
    )
    assert (of_framing.asked, of_spans.asked) == (0, len(features))
    soft = found[0].targets[0].soft
    assert soft is not None
    assert soft.axes[0] == 6.0
    assert np.isnan(soft.axes[1:]).all()
    first = soft.words[features[0].features.segments[0].words][0]
    assert (first[: len(BIO_TAGS)] == 6.0).all()
    assert np.isnan(first[len(BIO_TAGS) :]).all()
    use = tiny_config.model_dump()["corpora"]["use"][0]
    (loaded,) = load_corpora(with_corpora(tiny_config, use=[{**use, "taught": sorted(parts)}]))
    assert loaded.taught == parts


def test_a_teacher_is_asked_about_the_corpora_that_the_config_names(
    corpus: tuple[LoadedCorpus, list[LabelledFeatures]], tiny_config: Config
) -> None:
    item, features = corpus
    everywhere, elsewhere = Answering(1.0, None), Answering(6.0, None)
    other = replace(item, name="split", use="other")  # of the name in its split file
    corpora = [item, other, replace(other, name="augmented split")]
    found = taught(
        [everywhere, elsewhere],
        corpora,
        [*features, *features, *features],
        silent,
        asked_about={elsewhere.name: ["other"]},
    )
    assert elsewhere.asked == len(features)
    assert {heard(row)[1] for row in found[: len(features)]} == {1.0}
    assert {heard(row)[1] for row in found[len(features) :]} == {3.5}
    for nowhere in ({elsewhere.name: ["babe"]}, {elsewhere.name: []}):
        with pytest.raises(TeacherError, match=rf"asked_about: .* for {elsewhere.name}, which"):
            taught([everywhere, elsewhere], [item], features, silent, asked_about=nowhere)
    base = {**tiny_config.model_dump(), "teacher": ["runs/a"]}
    for wrong in ({"runs/b": ["files"]}, {"runs/a": ["polnear"]}):
        with pytest.raises(ValidationError, match=r"distillation\.asked_about: expected names out"):
            Config.model_validate({**base, "distillation": {"asked_about": wrong}})


def test_texts_without_labels_are_not_left_without_answers(
    corpus: tuple[LoadedCorpus, list[LabelledFeatures]],
) -> None:
    item, features = corpus
    teacher = Answering(1.0, None, frozenset({"framed"}))
    about = {teacher.name: ["files"]}
    copies = replace(item, name="augmented files", origins=item.splits["train"])
    unlabelled = replace(item, name="unlabelled texts.jsonl", use="")
    parts: frozenset[LossPart] = frozenset({"attributed"})
    for made, chosen in (
        (unlabelled, about),
        (replace(copies, taught=frozenset()), {}),
        (replace(copies, taught=parts), {}),
    ):
        with pytest.raises(TeacherError, match=rf"may be heard on {made.name}, whose texts have"):
            taught([teacher], [item, made], [*features, *features], silent, asked_about=chosen)
    for made, chosen in ((unlabelled, {}), (copies, about)):
        taught([teacher], [item, made], [*features, *features], silent, asked_about=chosen)


def test_files_is_what_a_config_calls_texts_of_ones_own_split_or_not(
    corpus: tuple[LoadedCorpus, list[LabelledFeatures]], tiny_config: Config, tmp_path: Path
) -> None:
    _, features = corpus
    given = tiny_config.corpora.use[0].files or {}
    path, split = given["train"], tmp_path / "labels.split.json"
    SplitFile.make("labels", read_jsonl(Path(path))).write(split)
    divided = {"name": "files", "path": path, "split": str(split)}
    loaded = load_corpora(with_corpora(tiny_config, use=[{"name": "files", "files": given}] * 2))
    loaded += load_corpora(with_corpora(tiny_config, use=[divided]))
    assert [item.name for item in loaded] == ["files", "files 2", "labels"]
    for item in loaded:
        teacher, count = Answering(3.0, None), len(item.splits["train"])
        about = {teacher.name: ("files",)}
        found = taught([teacher], [item], features[:count], silent, asked_about=about)
        assert all(target.soft is not None for row in found for target in row.targets)


def test_no_teacher_says_that_a_lone_sentence_of_an_article_is_page_furniture(
    corpus: tuple[LoadedCorpus, list[LabelledFeatures]],
) -> None:
    item, _ = corpus
    labelled = LabelledDocument(
        "a", "A mad plan.", annotated=frozenset({"framed"}),
        segments=(GoldSegment("text", 0, 11, framed=False),),
    )  # fmt: skip
    copy = replace(labelled, id="b", annotated=frozenset(), segments=(GoldSegment("text", 0, 11),))
    for document, name, silenced in (
        (labelled, "other", True),
        (copy, "augmented other", True),
        (copy, "unlabelled other", False),
    ):  # fmt: skip
        one = replace(
            item,
            name=name,
            splits={"train": [document], "validation": [], "test": []},
            digests={"train": document.id + name, "validation": "", "test": ""},
        )
        features = [featurize_document(document, FEATURIZER[0])]
        (found,) = taught([Answering(1.0, None)], [one], features, silent)
        soft = found.targets[0].soft
        assert soft is not None
        assert np.isnan(soft.axes).tolist() == [False, False, silenced]


def answers(values: Sequence[float], ends: Sequence[int]) -> WordAnswers:
    words = np.array([[value] * len(SPAN_LOGITS) for value in values], dtype=np.float16)
    starts = np.array([0, *ends[:-1]], dtype=np.int32)
    return WordAnswers(
        np.full(len(AXES), values[0], np.float16), starts, np.array(ends, np.int32), words
    )


def test_teachers_of_the_same_words_become_one() -> None:
    one, two = answers([1.0, NAN], [3, 7]), answers([3.0, 5.0], [3, 7])
    (found,) = pooled([one, two], (0, 1))
    assert found.words[:, 0].tolist() == [2.0, 5.0]
    (found,) = pooled([one, two], (0,))
    assert found.words[:, 0].tolist() == [1.0, 5.0]
    assert found.axes.tolist() == [1.0] * 3
    other = answers([1.0, 2.0], [4, 7])
    assert pooled([one, other], (0, 1)) == [one, other]


def test_preferred_answers_count_where_there_are_any() -> None:
    rows = [np.array(row, dtype=np.float16) for row in ([1, NAN, NAN], [3, 5, NAN], [8, 9, NAN])]
    np.testing.assert_array_equal(preferred_mean(rows, (0, 1)), [2.0, 5.0, NAN])
    np.testing.assert_array_equal(preferred_mean(rows, (0,)), [1.0, 7.0, NAN])
    np.testing.assert_array_equal(preferred_mean(rows, ()), [4.0, 7.0, NAN])


def test_a_run_notes_what_it_learnt_from_and_through_whom(distinct_config: Config) -> None:
    tiny_config = distinct_config
    with quiet_libraries():
        config = with_corpora(tiny_config, left_out={"part": 1, "of": 2})
        run_jointly(config, NullTracker(), silent, train_only=True)
        (folder,) = Path(config.output).iterdir()
        own = {fingerprint(d) for d in documents_of(load_corpora(config), "train")}
        teacher = load_teacher(str(folder), config)
        assert teacher.seen == read_seen(folder) == own
        student = {**with_corpora(config, left_out={"part": 2, "of": 2}).model_dump()}
        student |= {"name": "student", "teacher": str(folder)}
        run_jointly(Config.model_validate(student), NullTracker(), silent, train_only=True)
    (taught_folder,) = (p for p in Path(config.output).iterdir() if p.name.startswith("student"))
    whole = {fingerprint(d) for d in documents_of(load_corpora(tiny_config), "train")}
    assert read_seen(taught_folder) == whole


@pytest.mark.parametrize("setting", ["encoder", "begin_with"])
def test_weights_of_the_registry_that_learnt_what_is_held_out_are_refused(
    setting: str, tmp_path: Path, distinct_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = read_jsonl(Path((distinct_config.corpora.use[0].files or {})["test"]))
    fetched = write_model(tmp_path / "cache" / "abc")  # alone, without what its run noted
    monkeypatch.setattr(encoders, "artifact_folder", lambda name: fetched)
    monkeypatch.setattr(origins, "seen_by", lambda name: frozenset(map(fingerprint, test)))
    settings = distinct_config.model_dump()
    if setting == "encoder":
        settings["encoder"] = "models:/news@champion"
    else:
        settings["training"]["begin_with"] = {"model": "models:/news@champion", "share": 0.5}
    config = Config.model_validate(settings)
    with quiet_libraries(), pytest.raises(TeacherError, match=r"models:/news@champion was trained"):
        run(config, NullTracker(), silent)


def test_a_teacher_of_what_is_held_out_is_refused(tmp_path: Path, distinct_config: Config) -> None:
    files = dict(distinct_config.corpora.use[0].files or {})
    leaky = [*read_jsonl(Path(files["train"])), *read_jsonl(Path(files["test"]))]
    held, other = tmp_path / "leaky.jsonl", tmp_path / "other.jsonl"
    write_jsonl(leaky, held)
    write_jsonl(tiny_documents(5, 300), other)
    swapped = {**files, "train": str(held), "test": str(other)}
    with quiet_libraries():
        run_jointly(
            with_corpora(distinct_config, use=[{"name": "files", "files": swapped}]),
            NullTracker(),
            silent,
            train_only=True,
        )
        (folder,) = Path(distinct_config.output).iterdir()
        artifact = write_model(folder / "model")
        mixed_in = {"average": True, "average_with": {"model": str(folder), "share": 0.9}}
        begun = {"begin_with": mixed_in["average_with"]}
        for changes in (
            {"teacher": str(folder)},
            {"encoder": str(folder)},
            {"encoder": str(artifact)},
            {"training": {**distinct_config.training.model_dump(), **mixed_in}},
            {"training": {**distinct_config.training.model_dump(), **begun}},
        ):
            config = Config.model_validate({**distinct_config.model_dump(), **changes})
            with pytest.raises(
                TeacherError, match=r"was trained on 5 of them: d200, d201, d202, …"
            ):
                run(config, NullTracker(), silent)
