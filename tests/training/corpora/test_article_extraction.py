from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from lxml import html

from framelens_training.corpora.article_extraction import ArticleExtraction, visible_lines
from framelens_training.corpora.labelled import CorpusError, LabelledDocument
from framelens_training.corpora.reading import ReadReport

BODY = (
    "The coroner said that the valve had been shut by hand in the night of the flood.\n\n"
    "Share prices\n\n"
    "Rain fell on the valley for nine days, and the river was the highest in a century."
)
PAGE = """<html><head><title>Valve was shut by hand, coroner says - Tarn Courier</title>
<meta name="description" content="An inquest hears of the night in which the valve was shut.">
<style>p {color: red}</style></head><body>
<nav><a href="/">Home</a> <a href="/sport">Sport</a></nav>
<h1>Valve was shut by hand, coroner says</h1>
<p class="deck">An inquest hears of the night in which the valve was shut.</p>
<div>Share<br>Shut by hand</div>
<p>The coroner said that the <b>valve</b> had been shut
   by hand in the night of the flood.</p>
<h2>Share prices</h2>
<figure><figcaption>The bridge, seen from the east bank</figcaption></figure>
<p>Rain fell on the valley for nine days, and the river was the highest in a century.</p>
<p>Rain fell on the valley for nine days, and now sign up for our letter on weather and roads.</p>
<script>var sentence = "not a line of the page";</script>
<p style="display: none">Hidden words of the page</p>
<!-- a remark --><p>&nbsp;|&nbsp;</p>
<footer>Sign up for our morning briefing</footer></body></html>"""


def write(root: Path, pages: dict[str, tuple[str, str, str]]) -> None:
    """Pages as name -> (markup, body, url)."""
    folder = root / "article-extraction-benchmark"
    (folder / "html").mkdir(parents=True, exist_ok=True)
    truth = {name: {"articleBody": body, "url": url} for name, (_, body, url) in pages.items()}
    (folder / "ground-truth.json").write_text(json.dumps(truth), "utf-8")
    for name, (markup, _, _) in pages.items():
        (folder / "html" / f"{name}.html.gz").write_bytes(gzip.compress(markup.encode()))


def read(
    root: Path, pages: dict[str, tuple[str, str, str]]
) -> tuple[list[LabelledDocument], ReadReport]:
    write(root, pages)
    splits, report = ArticleExtraction().read_with_report(root)
    return [d for split in splits.values() for d in split], report


def test_lines_outside_the_body_are_boilerplate(tmp_path: Path) -> None:
    (document,), report = read(tmp_path, {"a": (PAGE, BODY, "https://tarn.example/1")})
    answers = [(document.segment_text(s), s.boilerplate) for s in document.segments]
    assert answers == [
        ("Home Sport", True),
        ("Valve was shut by hand, coroner says", None),
        ("An inquest hears of the night in which the valve was shut.", None),
        ("Share", True),  # buttons, though the body has the words
        ("Shut by hand", True),
        (BODY.split("\n\n")[0], False),
        ("Share prices", False),  # a line of the body, word for word
        ("The bridge, seen from the east bank", None),
        (BODY.split("\n\n")[2], False),
        (answers[9][0], None),  # half body, half promotion
        ("Sign up for our morning briefing", True),
    ]
    assert document.annotated == {"boilerplate"}
    assert document.meta["group"] == "tarn.example"
    assert document.spans == ()
    assert report.counts == {
        "masked: caption": 1,
        "masked: line that is partly body": 1,
        "masked: the article's headline, which the benchmark leaves out of the body": 1,
        "masked: the article's standfirst, which the benchmark leaves out of the body": 1,
    }


def test_lines_are_what_stands_between_the_edges_of_blocks() -> None:
    root = html.document_fromstring(
        "<div>one <i>two</i>\n three<p>four</p>five<br>six</div><ul><li>seven<li>eight</ul>"
        "<select><option>nine</select><p hidden>ten</p>eleven"
    )
    assert [line.text for line in visible_lines(root)] == [
        "one two three", "four", "five", "six", "seven", "eight", "eleven",
    ]  # fmt: skip


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    foreign = "Der Regen fiel neun Tage lang auf das Tal und der Fluss stieg."
    pages = {
        "german": (f"<p>{foreign}</p>", foreign, "https://tal.example/1"),
        "other": ("<p>A page about something else.</p>", BODY, "https://tarn.example/2"),
        "gone": ("", BODY, "https://tarn.example/3"),
        "extra": (PAGE, BODY, "https://tarn.example/4"),
    }
    write(tmp_path, pages)
    folder = tmp_path / "article-extraction-benchmark"
    (folder / "html/gone.html.gz").unlink()
    truth = json.loads((folder / "ground-truth.json").read_text("utf-8"))
    del truth["extra"]
    (folder / "ground-truth.json").write_text(json.dumps(truth), "utf-8")
    splits, report = ArticleExtraction().read_with_report(tmp_path)
    assert not any(splits.values())
    assert report.counts == {
        "dropped: body without its page": 1,
        "dropped: page in which no line of the body is found": 1,
        "dropped: page that is not English prose": 1,
        "dropped: page without a body": 1,
    }


def test_pages_of_a_host_stay_together(tmp_path: Path) -> None:
    pages = {f"p{n}": (PAGE, BODY, f"https://host{n % 12}.example/{n}") for n in range(24)}
    write(tmp_path, pages)
    splits = ArticleExtraction().read(tmp_path)
    hosts = [{d.meta["group"] for d in documents} for documents in splits.values()]
    assert all(hosts)
    assert sum(map(len, hosts)) == 12


def test_all_damage_comes_in_one_report(tmp_path: Path) -> None:
    write(tmp_path, dict.fromkeys(("a", "b"), (PAGE, BODY, "https://tarn.example")))
    folder = tmp_path / "article-extraction-benchmark"
    (folder / "html/a.html.gz").write_bytes(b"no gzip")
    truth = json.loads((folder / "ground-truth.json").read_text("utf-8"))
    truth["b"]["articleBody"] = None
    (folder / "ground-truth.json").write_text(json.dumps(truth), "utf-8")
    with pytest.raises(CorpusError) as caught:
        ArticleExtraction().read(tmp_path)
    assert len(caught.value.problems) == 2


def test_a_missing_folder_is_named_with_its_source(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="scrapinghub/article-extraction-benchmark"):
        ArticleExtraction().read(tmp_path)


@pytest.mark.corpora
def test_the_body_s_lines_are_found_in_the_pages(corpora_root: Path) -> None:
    splits, _ = ArticleExtraction().read_with_report(corpora_root)
    answers = [s.boilerplate for split in splits.values() for d in split for s in d.segments]
    assert answers.count(False) > 2000
    assert 0.7 < answers.count(True) / len(answers) < 0.95
