"""Who says what: content spans tied to their sources and cues."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from random import Random

import pytest

import framelens
from framelens.relations import AttributionRelation, relations_of
from framelens.schema import Document, ModelInfo, Role, ScoredSegment, Span, SpanType

SCORES = {"attributed": 0.9, "framed": 0.1, "boilerplate": 0.0}
TYPES: dict[str, SpanType] = {"S": "source", "C": "cue", "Q": "content"}


def segment(marked: str, role: Role = "body", label: str = "sourced") -> ScoredSegment:
    """A segment of a text with its spans marked: `[S Lee] [C said] [Q no]`; [Q+ goes on."""
    text, spans, rest = "", [], marked
    while rest:
        plain, _, rest = rest.partition("[")
        text += plain
        if not rest:
            break
        inner, _, rest = rest.partition("]")
        kind, _, words = inner.partition(" ")
        start, end = len(text), len(text) + len(words)
        spans.append(Span(TYPES[kind[0]], start, end, words, 0.9, continues=kind.endswith("+")))
        text += words
    field = "headline" if role == "headline" else "text"
    return ScoredSegment(
        0,
        role,
        field,
        0,
        len(text),
        text,
        label,
        False,
        SCORES,
        tuple(spans),  # type: ignore[arg-type]
    )


def said(*segments: ScoredSegment) -> list[tuple[str, str | None, str | None]]:
    """Content, source and cue of each relation."""
    return [
        (
            relation.content.text,
            None if relation.source is None else relation.source.text,
            None if relation.cue is None else relation.cue.text,
        )
        for relation in relations_of(segments)
    ]


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("[S Lee] [C said] [Q it fell].", [("it fell", "Lee", "said")]),
        ("[Q “It fell,”] [S Lee] [C said].", [("“It fell,”", "Lee", "said")]),
        (
            "[S Jago] [C said] [Q no], [S Penrose] [C said] [Q yes].",
            [("no", "Jago", "said"), ("yes", "Penrose", "said")],
        ),
        (  # the relative pronoun is the source of what it begins
            "[S Christie], [S who] [C has campaigned for] [Q the plan], [C called] [Q it bold].",
            [("the plan", "who", "has campaigned for"), ("it bold", "who", "called")],
        ),
        (
            "[Q It works], [C said] [S Kamin], [S who] [C added] [Q that it costs less].",
            [("It works", "Kamin", "said"), ("that it costs less", "who", "added")],
        ),
        (  # whoever is spoken to is not the source
            "[S Engineers] [C warned] [S the council] [Q that it would fall].",
            [("that it would fall", "Engineers", "warned")],
        ),
        ("According to [S Lee] [Q it fell].", [("it fell", "Lee", None)]),
        ("[C It is said] [Q that it fell].", [("that it fell", None, "It is said")]),
        ("[S Lee] [C said] [Q no] [Q .]", [("no", "Lee", "said")]),
        ("[S Lee] [C spoke].", []),
    ],
)
def test_within_a_sentence(marked: str, expected: list[tuple[str, str, str]]) -> None:
    assert said(segment(marked)) == expected


LEE = segment("[S Lee] [C said] [Q “it fell.]")
MORE = segment("[Q It will fall again.”]")


def test_what_carries_on_has_the_source_before_it() -> None:
    plain = segment("It rained.", label="plain")
    assert said(LEE, MORE, MORE)[1:] == [("It will fall again.”", "Lee", None)] * 2
    assert said(LEE, plain, MORE)[1:] == [("It will fall again.”", None, None)]
    furniture = segment("More by [S Penrose]", label="boilerplate")
    assert said(LEE, furniture, MORE)[1:] == [("It will fall again.”", "Lee", None)]
    two = segment("[S Jago] [C asked] [Q why], [S Lee] [C said] [Q “it fell.]")
    assert said(two, MORE)[-1] == ("It will fall again.”", "Lee", None)
    named = segment("[S Lee] was there with [S Penrose].")
    assert said(named, MORE) == [("It will fall again.”", "Penrose", None)]


def test_content_with_a_cue_of_its_own_is_not_the_speakers_before() -> None:
    hearsay = segment("[C It is thought] [Q that it was old].")
    assert said(LEE, hearsay)[-1] == ("that it was old", None, "It is thought")
    goes_on = segment("[Q+ It was old,”] [C was the answer].")
    assert said(LEE, goes_on)[-1] == ("It was old,”", "Lee", "was the answer")

    unnamed = segment("[C It was said] [Q that “it fell.]")
    assert said(LEE, unnamed, segment("[Q+ We ran.”]"))[-1] == ("We ran.”", None, None)


def test_signatures_and_furniture_of_other_fields_are_not_tied() -> None:
    headline = segment("[Q “Wall fell”]", role="headline")
    byline = segment("— [S Ines Okafor], engineer")
    assert said(headline, byline) == [("“Wall fell”", None, None)]
    share = segment("- Share this: [S Facebook]", label="boilerplate")
    assert said(headline, share, byline) == [("“Wall fell”", None, None)]
    assert said(segment("[Q “It fell.]"), share) == [("“It fell.", None, None)]
    for signature in ("— [S Lee]", "[C -] [S Lee], Tarn."):
        signed = said(segment("[Q “It fell.]"), share, segment(signature))
        assert signed == [("“It fell.", "Lee", None)]
    item = segment("[C -] [S Penrose] [C disagreed].")
    assert said(LEE, MORE, item)[1:] == [("It will fall again.”", "Lee", None)]


def test_page_furniture_attributes_nothing() -> None:
    furniture = segment("[S Penrose] [C said] [Q no].", label="boilerplate")
    assert said(LEE, furniture) == said(LEE)


def test_spans_of_rows_from_elsewhere_may_stand_in_any_order() -> None:
    both = segment("[S Lee] was there with [S Penrose].")
    turned = replace(both, spans=both.spans[::-1])
    assert said(turned, MORE) == said(both, MORE) == [("It will fall again.”", "Penrose", None)]


def test_a_quotation_has_the_source_that_a_later_sentence_of_it_names() -> None:
    first, last = segment("[Q “No.]"), segment("[Q+ Not now,”] [C said] [S Penrose].")
    assert said(LEE, first, last, MORE)[1:] == [
        ("“No.", "Penrose", None),
        ("Not now,”", "Penrose", "said"),
        ("It will fall again.”", "Penrose", None),
    ]


def test_a_headline_speaks_for_itself() -> None:
    headline = segment("[Q Wall falls], [C says] [S Lee]", role="headline")
    assert said(headline, MORE) == [
        ("Wall falls", "Lee", "says"),
        ("It will fall again.”", None, None),
    ]


def test_a_document_gives_its_relations_with_places() -> None:
    document = Document("d", "ok", ModelInfo("m", "1", "0"), segments=(LEE, MORE))
    first, second = framelens.attribution_relations(document)
    assert isinstance(second, AttributionRelation)
    assert (first.segment, first.source_segment) == (0, 0)
    assert (second.segment, second.source_segment) == (1, 0)
    row = json.loads(json.dumps(second.to_dict()))
    assert row == {
        "segment": 1,
        "content": {"type": "content", "start": 0, "end": 20, "text": "It will fall again.”",
                    "score": 0.9},
        "source": {"type": "source", "start": 0, "end": 3, "text": "Lee", "score": 0.9},
        "source_segment": 0,
        "cue": None,
    }  # fmt: skip
    assert framelens.attribution_relations(replace(document, segments=())) == ()


def mixed_segment(seed: int, pieces: int) -> ScoredSegment:
    """A long sentence of words, marks, sources, cues and contents in any order."""
    random = Random(seed)
    marked = ""
    for _ in range(pieces):
        piece = random.choice(["Penrose", "a\u00b2 road", "no-one,", "x", "- 7"])
        kind = random.choice(["S", "C", "Q", None])
        marked += piece if kind is None else f"[{kind} {piece}]"
        marked += random.choice([" ", "\u2003", '" ', " and "])
    return segment(marked)


def by_definition(given: ScoredSegment) -> list[tuple[Span, Span | None, Span | None]]:
    """The relations of a segment by comparing every cue and every source."""
    spans = given.spans
    blanked = list(given.text)
    for span in spans:
        if span.type != "content":
            blanked[span.start : span.end] = " " * len(span.text)

    def between(one: Span, other: Span) -> int:
        first, second = sorted((one, other), key=lambda span: span.start)
        words = "".join(blanked[first.end : second.start]).split()
        inside = [s for s in spans if first.end <= s.start and s.end <= second.start]
        return sum(any(map(str.isalnum, word)) for word in words) + 4 * len(inside)

    sources, cues, contents = (
        [span for span in spans if span.type == kind] for kind in ("source", "cue", "content")
    )
    found = []
    for content in contents:
        best: tuple[tuple[int, int], Span | None, Span | None] | None = None
        for cue in cues:
            near = min(sources, key=lambda s: between(s, cue), default=None)
            own, behind = between(cue, content), int(cue.start > content.start)
            cost = 3 * own + behind + (0 if near is None else between(near, cue)), own
            if best is None or cost < best[0]:
                best = cost, near, cue
        if best is None:
            best = (0, 0), min(sources, key=lambda s: between(s, content), default=None), None
        found.append((content, best[1], best[2]))
    return found


@pytest.mark.parametrize("pieces", [3, 6, 10])
def test_the_relations_are_those_of_the_definition(pieces: int) -> None:
    for seed in range(300):
        given = mixed_segment(seed, pieces)
        found = [(each.content, each.source, each.cue) for each in relations_of([given])]
        assert found == by_definition(given)


def test_the_relations_of_a_long_segment_are_found_at_once() -> None:
    given = mixed_segment(0, 8000)
    began = time.process_time()
    found = relations_of([given])
    assert time.process_time() - began < 5, "it takes hundredths of a second"
    assert len(found) > 1000
