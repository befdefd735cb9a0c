"""Every format gives back what it was given, or refuses to take it."""

from __future__ import annotations

import datetime
import json
import shutil
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings

from framelens.schema import AXES, SPAN_TYPES
from framelens_training.corpora.formats import FORMATS, detect, parse_any, read_any, write_any
from framelens_training.corpora.formats.base import FormatError
from framelens_training.corpora.formats.rows import LABEL_AXES, explode
from framelens_training.corpora.labelled import (
    ANNOTATED,
    FIELDS,
    CorpusError,
    GoldSegment,
    GoldSpan,
    LabelledDocument,
    digest,
)

from .document_strategies import documents, many, single_texts

COMPLETE = ("all.jsonl", "all.jsonl.gz", "all.json", "brat", "hf-dataset")
QUICK = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _round_trip(given: list[LabelledDocument], path: Path) -> list[LabelledDocument]:
    if path.is_dir():
        shutil.rmtree(path)
    name = path.name if path.name in FORMATS else None
    write_any(given, path, name)
    return read_any(path, name)


@pytest.mark.parametrize("name", COMPLETE)
@given(given_documents=many(documents()))
@QUICK
def test_a_complete_format_gives_any_document_back(
    name: str, given_documents: list[LabelledDocument], tmp_path: Path
) -> None:
    assert _round_trip(given_documents, tmp_path / name) == given_documents


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.parquet"])
@given(given_documents=many(single_texts()))
@QUICK
def test_a_table_gives_single_texts_back(
    name: str, given_documents: list[LabelledDocument], tmp_path: Path
) -> None:
    assert _round_trip(given_documents, tmp_path / name) == given_documents


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "all.markup"])
@given(given_documents=many(documents()))
@QUICK
def test_a_format_that_cannot_carry_a_document_refuses_it(
    name: str, given_documents: list[LabelledDocument], tmp_path: Path
) -> None:
    path = tmp_path / name
    refusal: FormatError | None = None
    try:
        write_any(given_documents, path)
    except FormatError as found:
        refusal = found
    if refusal is None:
        assert read_any(path) == given_documents
    else:
        assert refusal.problems
        assert ".jsonl" in str(refusal)


def _article() -> LabelledDocument:
    text = "The “so-called” plan 😀 failed.\n\nShe said it was over."
    said = text.index("said")
    return LabelledDocument(
        id="a/1",
        headline="A plan fails",
        text=text,
        lean="left",
        annotated=frozenset(ANNOTATED),
        segments=(
            GoldSegment("headline", 0, 12, False, False, False),
            GoldSegment("text", 0, 30, False, True, False, weights={"framed": 0.75}),
            GoldSegment("text", 32, len(text), True, None, False),
        ),
        spans=(
            GoldSpan("text", "loaded", 4, 15),
            GoldSpan("text", "source", 32, 35),
            GoldSpan("text", "cue", said, said + 4),
            GoldSpan("text", "content", said + 5, len(text) - 1),
        ),
        meta={"group": "plan"},
    )


def test_markup_carries_an_article_with_everything_annotated(tmp_path: Path) -> None:
    article = _article()
    sure = [replace(s, framed=bool(s.framed), weights={}) for s in article.segments]
    assert _round_trip([replace(article, segments=tuple(sure))], tmp_path / "a.mk") == [
        replace(article, segments=tuple(sure))
    ]


def test_the_same_bytes_are_written_twice(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "a.json"):
        write_any([_article()], tmp_path / name)
        first = (tmp_path / name).read_bytes()
        write_any([_article()], tmp_path / name)
        assert (tmp_path / name).read_bytes() == first


def test_a_round_trip_through_arrow_keeps_the_digest(tmp_path: Path) -> None:
    assert digest(_round_trip([_article()], tmp_path / "hf-dataset")) == digest([_article()])


def test_half_a_surrogate_pair_is_refused_by_every_format(tmp_path: Path) -> None:
    broken = replace(_article(), text="\ud83d" + _article().text[1:])
    for name in (*COMPLETE, "a.csv", "a.markup"):
        with pytest.raises(FormatError, match="surrogate"):
            _round_trip([broken], tmp_path / name)


def test_labels_of_a_csv_annotate_the_axes_that_they_answer(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "".join(f"A {x} line.,{x}\n" for x in LABEL_AXES))
    found = {d.text.split()[1]: d for d in read_any(path)}
    framed = found["framed"]
    assert framed.segments[0] == GoldSegment("text", 0, 14, None, True, False)
    assert framed.annotated == {"framed", "boilerplate"}
    assert found["sourced"].segments[0] == GoldSegment("text", 0, 15, True, False, False)
    assert found["boilerplate"].segments[0].boilerplate is True
    assert found["plain"].annotated == {"attributed", "framed", "boilerplate"}
    assert framed.id == "rows:3"


def test_optional_columns_of_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(
        "id;text;label;role;group;outlet;lean;weight\n"
        'a;"Chaos; again";framed;headline;g1;Courier;left;0.5\n'
    )
    (document,) = read_any(path)
    assert (document.headline, document.text) == ("Chaos; again", "")
    assert document.segments[0].weights == {"framed": 0.5, "boilerplate": 0.5}
    assert (document.id, document.outlet, document.lean) == ("a", "Courier", "left")
    assert document.meta == {"group": "g1"}


@pytest.mark.parametrize("name", ["a.CSV", "A.Tsv", "a.PARQUET", "a.JSONL.GZ"])
def test_suffixes_may_be_in_capitals(tmp_path: Path, name: str) -> None:
    (tmp_path / "labels.csv").write_text("text,label\nRain fell.,plain\n", "utf-8")
    documents = read_any(tmp_path / "labels.csv")
    write_any(documents, tmp_path / name)
    write_any(documents, tmp_path / name.lower())
    assert (tmp_path / name).read_bytes() == (tmp_path / name.lower()).read_bytes()
    assert read_any(tmp_path / name) == documents


def test_a_semicolon_in_the_first_text_does_not_change_the_separator(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    for end in ("\n", "\r\n", "\r"):
        path.write_bytes(f"text,label{end}a; b; c; d,plain{end}".encode())
        assert read_any(path)[0].text == "a; b; c; d"


def test_quotation_marks_of_a_tsv_without_quoting_are_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text('text\tlabel\n"We ran."\tsourced\n"It was late.\tsourced\nWe ran."\tsourced\n')
    parsed = parse_any(path)
    assert [(f.severity, f.code, f.where) for f in parsed.findings] == [
        ("warning", "quotation-marks", f"{path}:2"),
        ("error", "unreadable", f"{path}:3"),
    ]
    assert [item.document.text for item in parsed.located] == ["We ran.", 'We ran."']
    quoted = LabelledDocument(
        "a", '"We ran."', annotated=frozenset({"framed"}),
        segments=(GoldSegment("text", 0, 9, framed=False),),
    )  # fmt: skip
    write_any([quoted, replace(quoted, id="b", text="We\tran\n.!")], path)
    assert not parse_any(path).findings
    path.write_text('"text"\t"label"\n"We ran."\t"sourced"\n')
    assert not parse_any(path).findings


def test_numbers_and_dates_of_parquet_are_texts_where_texts_are_meant(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    columns = {"text": ["It held."], "label": ["plain"], "id": [7], "group": [12]}
    table = pyarrow.table({**columns, "date": [datetime.date(2024, 5, 1)]})
    pyarrow.parquet.write_table(table, path)
    (document,) = read_any(path)
    assert (document.id, document.meta["group"], document.date) == ("7", "12", "2024-05-01")

    pyarrow.parquet.write_table(pyarrow.table({**columns, "outlet": [7]}), path)
    assert [f.code for f in parse_any(path).findings] == ["bad-outlet"]


def test_a_row_without_an_answer_is_left_out_where_axes_are_answered(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,framed,attributed\nIt held.,,\nIt broke.,no,\n", "utf-8")
    parsed = parse_any(path)
    assert [d.text for d in parsed.documents()] == ["It broke."]
    (told,) = parsed.findings
    assert (told.code, told.where, told.severity) == ("not-annotated", f"{path}:2", "warning")
    assert "'label'" not in str(told)

    path.write_text("text,framed,label\nIt held.,,\n", "utf-8")
    assert [(f.code, f.severity) for f in parse_any(path).findings] == [("bad-label", "error")]


def test_a_parquet_text_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    raw = pyarrow.array([b"caf\xe9 closed"], pyarrow.binary())
    text = pyarrow.Array.from_buffers(pyarrow.string(), 1, raw.buffers())
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": text, "label": ["plain"]}), path)
    (told,) = parse_any(path).findings
    assert (told.code, told.found) == ("encoding", r"b'caf\xe9 closed' in one")


@pytest.mark.parametrize("name", ["labels.csv", "labels.tsv"])
def test_an_empty_table_lacks_its_columns(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    (finding,) = parse_any(tmp_path / name).findings
    assert (finding.code, finding.severity) == ("columns", "error")


def test_a_row_of_empty_cells_is_passed_over_as_an_empty_line_is(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text;label\n;\nRain fell.;plain\n\n;\n")
    parsed = parse_any(path)
    assert [item.where for item in parsed.located] == [f"{path}:3"]
    assert not parsed.findings


def test_exploding_gives_each_labelled_segment_and_counts_what_is_lost(tmp_path: Path) -> None:
    rows, lost = explode([_article()])
    assert [d.id for d in rows] == ["a/1#0", "a/1#1", "a/1#2"]
    assert lost["evidence spans"] == 4
    assert lost["segments whose weights differ by axis (the lowest is kept)"] == 1
    assert {d.meta["group"] for d in rows} == {"plan"}
    assert rows[0].headline == "A plan fails"
    assert rows[0].segments[0].field == "headline"
    back = _round_trip(rows, tmp_path / "rows.csv")
    assert back == rows


def test_a_table_refuses_an_article_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"a/1: 3 segments.*") as refusal:
        write_any([_article()], tmp_path / "rows.csv")
    assert "--explode" in str(refusal.value)


def test_brat_files_are_what_brat_reads(tmp_path: Path) -> None:
    write_any([_article()], tmp_path / "b", "brat")
    raw = (tmp_path / "b/000001-a-1.txt").read_text("utf-8")
    assert raw == f"{_article().headline}\n{_article().text}"
    lines = (tmp_path / "b/000001-a-1.ann").read_text("utf-8").splitlines()
    assert "T5\tSource 45 48\tShe" in lines
    assert "A2\tFramed T1 no" in lines
    assert not any("\n" in line for line in lines)
    configuration = (tmp_path / "b/annotation.conf").read_text("utf-8")
    assert configuration.splitlines()[:6] == [
        "[entities]", "Segment", "Source", "Cue", "Content", "Loaded"
    ]  # fmt: skip


def test_a_mark_added_in_brat_is_read(tmp_path: Path) -> None:
    write_any([_article()], tmp_path / "b", "brat")
    path = tmp_path / "b/000001-a-1.ann"
    path.write_text(path.read_text("utf-8") + "T90\tLoaded 2 6\tplan\nA90\tFramed T3\n", "utf-8")
    (document,) = read_any(tmp_path / "b")
    assert GoldSpan("headline", "loaded", 2, 6) in document.spans
    assert document.segments[2].framed is True


def test_brat_from_elsewhere_annotates_what_occurs(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("She said no. Rain fell.", "utf-8")
    (tmp_path / "one.ann").write_text("T1\tSource 0 3\tShe\nT2\tCue 4 8\tsaid\n", "utf-8")
    (tmp_path / "two.txt").write_text("Rain fell again.", "utf-8")
    (tmp_path / "two.ann").write_text("", "utf-8")
    one, two = read_any(tmp_path)
    assert one.id == "one"
    assert one.annotated == two.annotated == {"attribution_spans"}
    assert [one.segment_text(s) for s in one.segments] == ["She said no.", "Rain fell."]


def test_a_mark_that_brat_cut_at_a_line_break_is_one(tmp_path: Path) -> None:
    text = "The coroner said the valve\nhad been shut by hand. It held."
    marks = (
        "T1\tSegment 0 26;27 49\tThe coroner said the valve had been shut by hand.\n"
        "T2\tSegment 50 52;53 58\tIt held.\n"
        "T3\tContent 17 26;27 48\tthe valve had been shut by hand\n"
        "T4\tLoaded 4 11;36 40\tcoroner shut\n"
        "A1\tAttributed T1 yes\nA2\tAttributed T2 no\n"
    )
    (tmp_path / "a.txt").write_text(text, "utf-8")
    (tmp_path / "a.ann").write_text(marks, "utf-8")
    (document,) = read_any(tmp_path)
    assert [(s.start, s.end, s.attributed) for s in document.segments] == [
        (0, 49, True), (50, 58, False)
    ]  # fmt: skip
    assert [(s.start, s.end) for s in document.spans] == [(17, 48), (4, 11), (36, 40)]


def test_a_mark_over_headline_and_text_stays_cut_where_the_headline_ends(tmp_path: Path) -> None:
    write_any([_article()], tmp_path / "b", "brat")
    path = tmp_path / "b/000001-a-1.ann"
    length = len(_article().headline or "")
    words = f"{_article().headline} {_article().text[:4]}"
    mark = f"T90\tLoaded 0 {length};{length + 1} {length + 5}\t{words}\n"
    path.write_text(path.read_text("utf-8") + mark, "utf-8")
    (document,) = read_any(tmp_path / "b")
    loaded = {(s.field, s.start, s.end) for s in document.spans if s.type == "loaded"}
    assert {("headline", 0, length), ("text", 0, 4)} <= loaded


def test_every_piece_of_a_brat_segment_has_its_answers(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One, or so he says, two.", "utf-8")
    (tmp_path / "a.ann").write_text("T1\tSegment 0 4;20 24\tOne, two.\nA1\tframed T1\n", "utf-8")
    (document,) = read_any(tmp_path)
    assert [s.framed for s in document.segments] == [True, True]


def test_what_brat_has_beyond_these_marks_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One, two.", "utf-8")
    marks = "T1\tSegment 0 9\tOne, two.\nA1\tSarcasm T1\nA2\tFramed T1 No\n"
    (tmp_path / "a.ann").write_text(
        marks + "R1\tAttributed Arg1:T1 Arg2:T1\n#1\tNote T1\tx\n", "utf-8"
    )
    parsed = parse_any(tmp_path)
    assert [s.framed for s in parsed.documents()[0].segments] == [False]
    told = [(f.code, f.where.rpartition(":")[2], f.found) for f in parsed.findings]
    assert told == [("unknown-type", "2", "Sarcasm"), ("unknown-type", "4", "Attributed")]


def test_crlf_after_an_export_to_brat_is_undone(tmp_path: Path) -> None:
    write_any([_article()], tmp_path / "b", "brat")
    path = tmp_path / "b/000001-a-1.txt"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    parsed = parse_any(tmp_path / "b")
    assert parsed.documents() == [_article()]
    assert [f.code for f in parsed.findings] == ["carriage-return"]


def test_a_changed_text_under_brat_marks_is_refused(tmp_path: Path) -> None:
    write_any([_article()], tmp_path / "b", "brat")
    path = tmp_path / "b/000001-a-1.txt"
    path.write_text("X" + path.read_text("utf-8"), "utf-8")
    with pytest.raises(CorpusError, match="restore the text"):
        read_any(tmp_path / "b")


def _exported(path: Path) -> list[dict[str, object]]:
    write_any([_article()], path)
    tasks: list[dict[str, object]] = json.loads(path.read_text("utf-8"))
    return tasks


def test_label_studio_offsets_in_utf16_units_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    tasks = json.loads(json.dumps(_exported(path)))
    smile = _article().text.index("😀")
    for item in tasks[0]["annotations"][0]["result"]:
        if item["to_name"] == "text":
            for key in ("start", "end"):
                item["value"][key] += item["value"][key] > smile
    path.write_text(json.dumps(tasks), "utf-8")
    assert read_any(path) == [_article()]


def test_label_studio_offsets_that_find_other_words_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    tasks = json.loads(json.dumps(_exported(path)))
    tasks[0]["data"]["text"] = "Now: " + tasks[0]["data"]["text"]
    path.write_text(json.dumps(tasks), "utf-8")
    with pytest.raises(CorpusError, match=r"tasks.json:1: expected 'The .* found 'Now: "):
        read_any(path)


def test_label_studio_offsets_beyond_the_text_are_told_without_its_words(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    tasks = json.loads(json.dumps(_exported(path)))
    value = tasks[0]["annotations"][0]["result"][0]["value"]
    del value["text"]
    value["end"] = 9999
    path.write_text(json.dumps(tasks), "utf-8")
    with pytest.raises(CorpusError, match=r"expected 0 <= start <= end <= \d+, found 0\.\.9999"):
        read_any(path)


@pytest.mark.parametrize("of_data", [True, False])
def test_a_number_of_a_label_studio_task_is_its_id(tmp_path: Path, of_data: bool) -> None:
    path = tmp_path / "tasks.json"
    (task,) = json.loads(json.dumps(_exported(path)))
    del task["data"]["id"]
    place = task["data"] if of_data else task
    place["id"] = 17
    path.write_text(json.dumps([task]), "utf-8")
    assert [d.id for d in read_any(path)] == ["17"]


def test_an_empty_cell_of_an_imported_table_is_no_lean_in_label_studio(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    (task,) = json.loads(json.dumps(_exported(path)))
    task["data"]["lean"] = ""
    path.write_text(json.dumps([task]), "utf-8")
    (found,) = read_any(path)
    assert found.lean is None


@pytest.mark.parametrize("extra", [{"meta": None}, {"meta": "x"}, {"weights": None}])
def test_what_label_studio_does_not_keep_as_it_was_is_told(
    tmp_path: Path, extra: dict[str, object]
) -> None:
    path = tmp_path / "tasks.json"
    (task,) = json.loads(json.dumps(_exported(path)))
    task["annotations"] *= 2
    task["data"]["framelens"] |= extra
    path.write_text(json.dumps([task]), "utf-8")
    parsed = parse_any(path)
    assert not parsed.located
    assert [f.code for f in parsed.findings] == ["wrong-type"]


def test_two_annotators_of_a_task_make_two_documents_of_a_group(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    tasks = json.loads(json.dumps(_exported(path)))
    second = {"result": [], "completed_by": 7}
    tasks[0]["annotations"][0]["completed_by"] = 3
    tasks[0]["annotations"] += [second, {"result": [], "was_cancelled": True}]
    path.write_text(json.dumps(tasks), "utf-8")
    parsed = parse_any(path)
    assert [d.id for d in parsed.documents()] == ["a/1@3", "a/1@7"]
    assert {d.meta["group"] for d in parsed.documents()} == {"plan"}
    assert [f.code for f in parsed.findings] == ["not-annotated"]


def test_two_annotations_of_a_task_by_one_person_have_ids_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    tasks = json.loads(json.dumps(_exported(path)))
    again = {"result": [], "completed_by": {"id": 3, "email": "a@b.example"}, "id": 12}
    tasks[0]["annotations"] = [{**again, "id": 11}, again]
    path.write_text(json.dumps(tasks), "utf-8")
    found = read_any(path)
    assert [d.id for d in found] == ["a/1@3", "a/1@3-12"]
    assert {d.meta["annotator"] for d in found} == {"3"}


def test_a_bare_article_is_a_label_studio_task_that_is_yet_to_be_annotated(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    (with_marks,) = json.loads(json.dumps(_exported(path)))
    (made,) = with_marks["annotations"]
    bare = replace(_article(), segments=(), spans=())
    unweighted = tuple(replace(segment, weights={}) for segment in _article().segments)
    write_any([bare], path)
    (task,) = json.loads(path.read_text("utf-8"))
    assert task["annotations"] == []
    assert read_any(path) == [bare]

    empty: dict[str, object] = {"result": []}
    for found, expected, codes in (
        ([made], [replace(_article(), segments=unweighted)], []),
        ([empty, made], [replace(_article(), segments=unweighted)], ["not-annotated"]),
        ([empty], [], ["not-annotated"]),
    ):
        task["annotations"] = found
        path.write_text(json.dumps([task]), "utf-8")
        parsed = parse_any(path)
        assert parsed.documents() == expected
        assert [f.code for f in parsed.findings] == codes


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet", "a.json"])
def test_a_file_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    segment = GoldSegment("text", 0, 14, framed=False)
    line = LabelledDocument(
        "a", "The weir held.", annotated=frozenset({"framed"}), segments=(segment,)
    )
    write_any([line], path)

    def fail(self: Path, target: Path) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="full"):
        write_any([replace(line, text="The mill held.")], path)
    assert read_any(path) == [line]
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_relation_drawn_in_label_studio_is_told_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    tasks = json.loads(json.dumps(_exported(path)))
    relation = {"from_id": "a", "to_id": "b", "type": "relation", "direction": "right"}
    tasks[0]["annotations"][0]["result"].append(relation)
    path.write_text(json.dumps(tasks), "utf-8")
    parsed = parse_any(path)
    assert parsed.documents() == [_article()]
    assert [(f.code, f.severity) for f in parsed.findings] == [("unknown-type", "warning")]


def test_the_labelling_config_has_every_control_that_is_exported() -> None:
    config = Path(__file__).parents[3] / "configs/label_studio.xml"
    tree = ET.parse(config)
    controls = {
        tag.get("name"): [child.get("value") for child in tag]
        for kind in ("Labels", "Choices")
        for tag in tree.iter(kind)
    }
    expected = {f"{field}_span": list(SPAN_TYPES) for field in FIELDS}
    expected |= {f"{field}_segment": ["Segment"] for field in FIELDS}
    expected |= {f"{field}_{axis}": ["yes", "no"] for field in FIELDS for axis in AXES}
    assert controls == expected
    assert {tag.get("name"): tag.get("value") for tag in tree.iter("Text")} == {
        field: f"${field}" for field in FIELDS
    }


def test_a_dataset_of_texts_and_class_labels(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    labels = ClassLabel(names=["plain", "framed"])
    columns = {"text": ["A calm line.", "A circus."], "label": [0, 1]}
    dataset = Dataset.from_dict(columns, Features({"text": Value("string"), "label": labels}))
    dataset.save_to_disk(str(tmp_path / "d"))
    calm, circus = read_any(tmp_path / "d")
    assert (calm.segments[0].framed, circus.segments[0].framed) == (False, True)
    assert circus.id == "d:2"


def test_a_dataset_with_nested_columns_of_ones_own(tmp_path: Path) -> None:
    from datasets import Dataset

    Dataset.from_list([_article().to_dict()]).save_to_disk(str(tmp_path / "d"))
    (found,) = read_any(tmp_path / "d")
    assert found == _article()


def test_a_dataset_of_several_splits_names_their_folders(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    split = Dataset.from_dict({"text": ["A line."], "label": ["plain"]})
    DatasetDict({"train": split, "test": split}).save_to_disk(str(tmp_path / "d"))
    with pytest.raises(CorpusError, match=r"the splits test, train; name one of them"):
        read_any(tmp_path / "d")
    assert len(read_any(tmp_path / "d/train")) == 1


def test_a_path_without_a_format_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"\.jsonl.*\.parquet"):
        detect(tmp_path / "notes.docx")
    with pytest.raises(FileNotFoundError, match=r"none\.jsonl"):
        read_any(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("yes", "no"), [("true", "false"), ("Yes", "no"), ("1", "0"), ("1.0", "0.0")]
)
def test_an_axis_is_read_as_it_is_mostly_written(yes: str, no: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"text,attributed,framed\nIt rains.,{no},{yes}\nIt snows.,,{no}\n", "utf-8")
    first, second = (document.segments[0] for document in read_any(path))
    assert (first.attributed, first.framed) == (False, True)
    assert (second.attributed, second.framed) == (None, False)
    path.write_text("text,framed\nIt rains.,0.7\n", "utf-8")
    with pytest.raises(CorpusError, match=r"or nothing in 'framed', found '0\.7'"):
        read_any(path)
