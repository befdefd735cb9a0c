from __future__ import annotations

from pathlib import Path

import pytest

from framelens_training.corpora.cofenet import labelled_spans, project, read_sentences
from framelens_training.corpora.labelled import CorpusError, LabelledDocument
from framelens_training.corpora.polnear import PolNeAR
from framelens_training.corpora.reading import ReadReport, Splits

BODY = "The coroner said the valve was shut by hand. Rain fell on the valley for nine days."
RAW = f"Valve shut by hand.\n\n{BODY}"
TITLE = "Valve shut by hand"


def spans(raw: str, *marks: tuple[str, str]) -> str:
    """Standoff lines for (type, words); the words of a discontinuous span are parted by '|'."""
    lines: list[str] = []
    for number, (kind, words) in enumerate(marks, start=1):
        parts = words.split("|")
        offsets = ";".join(f"{raw.index(p)} {raw.index(p) + len(p)}" for p in parts)
        lines.append(f"T{number}\t{kind} {offsets}\t{' '.join(parts)}")
    return "\n".join(lines) + "\n"


SAID = spans(
    RAW,
    ("Source", "The coroner"),
    ("Cue", "said"),
    ("Content", "the valve was shut by hand"),
    ("Attribution", "said"),
) + "E1\tAttribution:T4 Source:T1 Cue:T2 Content:T3\n"  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    data = tmp_path / "polnear/data"
    for part in ("train", "dev"):
        (data / part / "text").mkdir(parents=True)
        (data / part / "attributions").mkdir()
    (data / "metadata.tsv").write_text(
        "compartment\tfilename\tpublisher\tpublication_date\ttitle\n"
        f'train\tvalve\ttarn-courier\t2016-05-01\t{TITLE}\n',
        "utf-8",
    )  # fmt: skip
    return tmp_path


def put(
    root: Path, raw: str, annotation: str, *, name: str = "valve", who: str = "4b22",
    part: str = "train",
) -> None:  # fmt: skip
    folder = root / "polnear/data" / part
    (folder / "text" / f"{name}.txt").write_bytes(raw.encode())
    (folder / "attributions" / f"{name}_{who}.ann").write_bytes(annotation.encode())


def read(root: Path) -> tuple[Splits, ReadReport]:
    return PolNeAR().read_with_report(root)


def span_words(document: LabelledDocument) -> list[tuple[str, str, str]]:
    return [
        (s.field, s.type, document.field_text(s.field)[s.start : s.end]) for s in document.spans
    ]


def test_spans_axes_and_metadata(root: Path) -> None:
    put(root, RAW, SAID)
    splits, report = read(root)
    (document,) = splits["train"]
    assert splits["validation"] == []
    assert document.headline == TITLE  # the corpus's full stop is gone
    assert document.text == BODY
    assert (document.outlet, document.date) == ("tarn-courier", "2016-05-01")
    assert document.meta["group"] == "valve"
    assert document.meta["annotator"] == "4b22"
    assert document.annotated == {"attributed", "attribution_spans"}
    assert span_words(document) == [
        ("text", "source", "The coroner"),
        ("text", "cue", "said"),
        ("text", "content", "the valve was shut by hand"),
    ]
    assert [(s.field, s.attributed) for s in document.segments] == [
        ("headline", False), ("text", True), ("text", False),
    ]  # fmt: skip
    assert all(s.framed is None and s.boilerplate is None for s in document.segments)
    assert report.counts == {"altered: full stop added to the headline taken off": 1}


def test_dev_is_validation_and_test_is_read_where_it_is(root: Path) -> None:
    put(root, RAW, SAID, part="dev")
    assert [d.id for d in read(root)[0]["validation"]] == ["polnear/valve_4b22"]
    for folder in ("text", "attributions"):
        (root / "polnear/data/test" / folder).mkdir(parents=True)
    put(root, RAW, SAID, part="test", name="other")
    assert [d.id for d in read(root)[0]["test"]] == ["polnear/other_4b22"]


def test_offsets_are_code_points(root: Path) -> None:
    raw = "🛠 Valve\n\n“It’s shut 🛠,” said Ines Okafor."
    put(root, raw, spans(raw, ("Content", "“It’s shut 🛠,”"), ("Source", "Ines Okafor")))
    (document,) = read(root)[0]["train"]
    assert span_words(document) == [
        ("text", "content", "“It’s shut 🛠,”"), ("text", "source", "Ines Okafor"),
    ]  # fmt: skip


def test_discontinuous_spans_give_one_span_a_fragment(root: Path) -> None:
    raw = 'Head\n\n"The pool," she said, "will shut."'
    # Annotators mark the fragments in any order.
    annotation = spans(raw, ("Content", '"will shut."|"The pool,"'))
    put(root, raw, annotation)
    (document,) = read(root)[0]["train"]
    assert span_words(document) == [
        ("text", "content", '"The pool,"'), ("text", "content", '"will shut."'),
    ]  # fmt: skip


def test_the_copy_of_a_span_may_run_over_lines(root: Path) -> None:
    raw = "Head\n\nShe wrote: one.\n\ntwo. The end."
    put(root, raw, spans(raw, ("Content", "one.\n\ntwo"), ("Source", "She")))
    (document,) = read(root)[0]["train"]
    assert [words for _, _, words in span_words(document)] == ["She", "one.\n\ntwo"]


def test_overlapping_spans_are_made_univocal_and_counted(root: Path) -> None:
    put(root, RAW, spans(
        RAW,
        ("Content", "The coroner said the valve was shut"),
        ("Source", "The coroner"),  # inside
        ("Cue", "shut by hand. Rain"),  # across
    ))  # fmt: skip
    splits, report = read(root)
    assert span_words(splits["train"][0]) == [
        ("text", "content", "The coroner said the valve was shut"),
        ("text", "cue", "by hand. Rain"),
    ]
    assert report.counts["dropped: span inside another span"] == 1
    assert report.counts["altered: span cut where it overlaps another"] == 1


def test_an_attribution_without_a_source_has_spans_but_attributes_nothing(root: Path) -> None:
    raw = "Head\n\nThe pool is expected to shut in March."
    put(root, raw, spans(
        raw, ("Content", "The pool|to shut in March"), ("Cue", "is expected"),
    ) + "E1\tAttribution-no-source:T2 Cue:T2 Content:T1\n")  # fmt: skip
    (document,) = read(root)[0]["train"]
    assert len(document.spans) == 3
    assert [s.attributed for s in document.segments] == [False, False]


def test_discarded_text_is_masked(root: Path) -> None:
    put(root, RAW, spans(RAW, ("Discard", "Rain fell on the valley for nine days.")))
    splits, report = read(root)
    assert [s.attributed for s in splits["train"][0].segments] == [False, False, None]
    assert report.counts["masked: segment marked Discard"] == 1


def test_a_span_from_the_headline_into_the_text_is_parted(root: Path) -> None:
    put(root, RAW, spans(RAW, ("Content", "by hand.\n\nThe coroner")))
    splits, report = read(root)
    assert span_words(splits["train"][0]) == [
        ("headline", "content", "by hand"), ("text", "content", "The coroner"),
    ]  # fmt: skip
    assert report.counts["altered: span from the headline into the text"] == 1


def test_annotators_are_kept_apart_in_one_group(root: Path) -> None:
    put(root, RAW, SAID, who="4b22")
    put(root, RAW, spans(RAW, ("Source", "The coroner")), who="ef2d")
    first, second = read(root)[0]["train"]
    assert (first.id, second.id) == ("polnear/valve_4b22", "polnear/valve_ef2d")
    assert (len(first.spans), len(second.spans)) == (3, 1)
    assert first.meta["group"] == second.meta["group"] == "valve"
    assert first.meta["annotators"] == "2"


def test_crlf_line_ends_of_a_checkout_are_undone(root: Path) -> None:
    put(root, RAW.replace("\n", "\r\n"), SAID.replace("\n", "\r\n"))
    splits, report = read(root)
    assert span_words(splits["train"][0])[0] == ("text", "source", "The coroner")
    assert report.counts["altered: CRLF line ends made line feeds"] == 1


def test_files_without_their_other_half_are_counted(root: Path) -> None:
    put(root, RAW, SAID)
    folder = root / "polnear/data/train"
    (folder / "text/valve.txt").rename(folder / "text/lonely.txt")
    (folder / "attributions/noname.ann").write_text("", "utf-8")
    splits, report = read(root)
    assert splits["train"] == []
    assert report.counts == {
        "dropped: annotation file whose name ends in no annotator": 1,
        "dropped: annotation file without its text": 1,
        "dropped: text without an annotation file": 1,
    }
    assert report.notes[0].file == "polnear/data/train/attributions/noname.ann"


def test_all_damage_comes_in_one_report(root: Path) -> None:
    put(root, RAW, "T1\tSource 0 5\tother\nT2\tCue five\tsaid\n")
    put(root, RAW, SAID, name="bytes")
    (root / "polnear/data/train/text/bytes.txt").write_bytes(b"caf\xe9")
    with pytest.raises(CorpusError) as caught:
        read(root)
    message = str(caught.value)
    assert "valve_4b22.ann:1: expected 'other' at 0..5 of the text, found 'Valve'" in message
    assert "valve_4b22.ann:2: expected 'T1<tab>Type 12 20<tab>words'" in message
    assert "bytes.txt: expected UTF-8, found 0xe9 at byte 3" in message


def test_a_missing_folder_is_named_with_its_source(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="networkdynamics/PolNeAR") as caught:
        PolNeAR().read(tmp_path)
    assert str(tmp_path / "polnear/data/dev/text") in str(caught.value)


@pytest.mark.corpora
def test_the_official_dev_part_agrees_with_cofenet_s_labels(corpora_root: Path) -> None:
    """Micro F1 of exact spans; measured 99.66. The rest is lost where tokens cannot be aligned."""
    by_document: dict[str, list[tuple[str, ...]]] = {}
    sentences = read_sentences(corpora_root / "polnear/cofenet_valid.jsonl")
    found = expected = agreed = 0
    for document in PolNeAR().read(corpora_root)["validation"]:
        name = document.id.removeprefix("polnear/")
        own = [sentence for sentence in sentences if sentence.document == name]
        by_document[name] = project(document, own)
        for labels, sentence in zip(by_document[name], own, strict=True):
            ours, theirs = labelled_spans(labels), labelled_spans(sentence.labels)
            found, expected, agreed = (
                found + len(ours), expected + len(theirs), agreed + len(ours & theirs),
            )  # fmt: skip
    assert len(by_document) == 94
    assert expected == 7149
    assert 2 * agreed / (found + expected) > 0.99
