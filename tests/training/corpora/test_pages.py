"""The packaged pages hold what docs/corpora.md says of them."""

from __future__ import annotations

from collections import Counter

from framelens.segmentation import segment_article
from framelens_training.corpora.registry import corpus

PAGES = corpus("pages").read(None)
DOCUMENTS = [document for split in PAGES.values() for document in split]


def test_only_furniture_is_annotated_and_every_segment_has_an_answer() -> None:
    for document in DOCUMENTS:
        assert document.annotated == {"boilerplate"}
        assert not document.spans
        for segment in document.segments:
            assert segment.boilerplate is not None
            assert segment.attributed is segment.framed is None
            assert not (segment.field == "headline" and segment.boilerplate)


def test_every_page_has_an_article_and_nearly_every_one_furniture() -> None:
    shares = [
        sum(bool(s.boilerplate) for s in document.segments) / len(document.segments)
        for document in DOCUMENTS
    ]
    assert max(shares) < 1
    assert sum(share > 0.1 for share in shares) > 0.95 * len(shares)
    assert len({document.outlet for document in DOCUMENTS}) > 0.95 * len(DOCUMENTS)


def test_segments_are_those_of_scoring() -> None:
    gold, same = 0, 0
    for document in DOCUMENTS:
        expected = {(s.field, s.start, s.end) for s in document.segments}
        cut = segment_article(document.text, document.headline or "none")
        gold += len(expected)
        same += len(expected & {(s.field, s.start, s.end) for s in cut})
    assert same > 0.97 * gold


def test_hardly_a_line_of_furniture_stands_on_many_pages() -> None:
    pages = Counter(
        text
        for document in DOCUMENTS
        for text in {document.segment_text(s) for s in document.segments if s.boilerplate}
        if len(text.split()) > 3
    )
    assert sum(count > 2 for count in pages.values()) < 0.01 * len(pages)
