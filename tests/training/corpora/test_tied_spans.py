from __future__ import annotations

from pathlib import Path

from framelens_training.corpora.tied_spans import tied_articles

from .test_polnear import RAW, SAID, put, root, spans  # noqa: F401 - `root` is a fixture

LONG = (
    "Valve shut by hand.\n\nThe coroner said the valve was shut by hand. “It was late. It was "
    "dark,” said Lee."
)
TWO = (
    spans(
        LONG,
        ("Source", "The coroner"),
        ("Cue", "said"),
        ("Content", "the valve was shut by hand"),
        ("Source", "Lee"),
        ("Content", "“It was late. It was dark,”"),
        ("Source", "coroner"),  # inside another, which keeps the words
        ("Attribution", "said"),
    )
    + "E1\tAttribution:T7 Source:T1 Cue:T2 Content:T3\nE2\tAttribution:T7 Source:T4 Content:T5\n"
)


def test_spans_stand_in_their_segments_and_know_what_they_are_tied_to(root: Path) -> None:  # noqa: F811
    put(root, LONG, TWO)
    put(root, LONG, SAID, who="5c33")  # another annotator of the same article
    put(root, RAW, SAID.replace("said", "sayd"), name="other")  # not of this text
    (article,) = tied_articles(root, "train")
    assert article.id == "valve"
    assert [s.role for s in article.segments] == ["headline", "body", "body", "body"]
    marks = {
        (place, span.type, span.text): article.mark_of[place, span.start]
        for place, segment in enumerate(article.segments)
        for span in segment.spans
    }
    assert marks == {
        (1, "source", "The coroner"): "T1",
        (1, "cue", "said"): "T2",
        (1, "content", "the valve was shut by hand"): "T3",
        (2, "content", "“It was late."): "T5",
        (3, "content", "It was dark,”"): "T5",
        (3, "source", "Lee"): "T4",
    }
    assert [s.continues for s in article.segments[3].spans] == [True, False]
    assert article.places_of["T5"] == {2, 3}
    assert article.sources_of == {"T3": {"T1"}, "T5": {"T4"}}
    assert article.cues_of == {"T3": {"T2"}}
    assert list(tied_articles(root, "dev")) == []
