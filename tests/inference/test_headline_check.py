from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import framelens
from framelens.alignment import align, alike, content_words, stem_of, word_vectors
from framelens.artifact import MODEL_FILE, Artifact, write_manifest
from framelens.decoding import DecodingConfig
from framelens.documents import document_of
from framelens.dropped_attribution import LEAD, SURE, DroppedSigns
from framelens.features import Featurizer
from framelens.headline_attribution import Speaker, headline_attribution, speaker_of
from framelens.headline_check import check_headline
from framelens.rows import segment_rows
from framelens.schema import Attribution, HeadlineCheck, OwnWording, Role, ScoredSegment, Span
from framelens.scorer import Scorer
from framelens.terminal import render
from framelens.token_vectors import TokenVectors
from support import VOCABULARY, lookup_graph, make_tokenizer, write_model

# The first sentence fills a window, so that the second is judged apart from the headline.
BODY = (
    "The plan is in the news and the report is on the mayor of a b c d e f g h i j k l m n. "
    "The minister said a road closed."
)


@pytest.fixture(scope="module")
def scorer(model_folder: Path) -> Scorer:
    return framelens.load(model_folder)


def check(scorer: Scorer, headline: str, body: str = BODY) -> HeadlineCheck:
    document = scorer.score(body, headline)
    assert document.headline_check is not None
    return document.headline_check


def test_a_headline_is_held_against_the_segment_that_carries_it(scorer: Scorer) -> None:
    document = scorer.score(BODY, "Another road closed")
    found = document.headline_check
    assert found is not None
    assert (found.outcome, found.segment, found.attributed) == ("supported", 2, True)
    assert found.source is not None
    assert found.cue is not None
    assert (found.source.text, found.cue.text) == ("minister", "said")
    assert BODY[found.source.start : found.source.end] == "minister"
    assert found.attribution == "dropped"
    assert document.segments[2].text == "The minister said a road closed."


def test_words_that_the_body_does_not_have_are_the_headlines_own(scorer: Scorer) -> None:
    headline = "  Shameful road closed"
    found = check(scorer, headline)
    assert [(o.text, headline[o.start : o.end]) for o in found.own_wording] == [
        ("Shameful", "Shameful")
    ]
    assert found.own_wording[0].loaded > 0.9
    assert not check(scorer, "Road closed").own_wording
    assert not check(scorer, "Road closed, a report").own_wording, "another sentence has it"


def test_a_word_keeps_the_combining_marks_at_its_end(scorer: Scorer) -> None:
    headline = "Shameful\u0301\u0323 road closed"
    document = scorer.score(BODY, headline)
    assert document.headline_check is not None
    found = [*document.headline_check.own_wording, document.segments[0].spans[0]]
    assert [(o.start, o.end, o.text) for o in found] == [(0, 10, headline[:10])] * 2


def test_own_words_that_follow_each_other_are_one_stretch(scorer: Scorer) -> None:
    def own(words: str) -> list[str]:
        headline = f"  {words}"
        found = check(scorer, headline, "The minister said a road closed.")
        assert all(headline[o.start : o.end] == o.text for o in found.own_wording)
        return [o.text for o in found.own_wording]

    assert own("Road closed in another news to report") == ["another news to report"]
    assert own("Shameful, another road closed") == ["Shameful", "another"]
    assert own("Another road closed plan") == ["Another", "plan"]
    assert own("Road closed another as it was plan") == ["another", "plan"]
    assert own("Mayor report: road closed") == ["report"], "a source is nobody's wording"
    assert own("Road reportedly closed") == [], "nor is a hedge"
    assert own("Minister ranted, road closed") == ["ranted"], "a loaded cue is the headline's own"


def test_a_segment_that_is_not_attributed_has_no_source(scorer: Scorer) -> None:
    found = check(scorer, "Road closed", "The mayor is on a road that is closed.")
    assert (found.outcome, found.attributed, found.attribution) == (
        "supported", False, "none_needed",
    )  # fmt: skip
    assert found.source is None
    assert found.cue is None


def test_a_headline_that_nothing_carries(scorer: Scorer) -> None:
    found = check(scorer, "Shameful, she ranted")
    assert found.to_dict() == {
        "outcome": "unsupported", "segment": None, "score": 0.0, "attributed": False,
        "source": None, "cue": None, "attribution": None, "dropped_score": None,
        "own_wording": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "headline"),
    [("Sign up", "Road closed"), ("", "Road closed"), ("The mayor said a road closed.", None)],
)
def test_there_is_no_check_without_headline_or_body(
    scorer: Scorer, text: str, headline: str | None
) -> None:
    document = scorer.score(text, headline)
    assert document.headline_check is None
    assert document.to_dict()["headline_check"] is None


@pytest.mark.parametrize(
    ("headline", "line"),
    [
        ("Another road closed", "ANOTHER ROAD CLOSED"),
        ("‘Another’ road closed?", "'Another' road closed"),
        ("Road closed. Another road closed", "Road closed. Another road closed"),
    ],
)
def test_a_line_that_repeats_the_headline_is_not_what_it_is_held_against(
    scorer: Scorer, headline: str, line: str
) -> None:
    alone, repeated = check(scorer, headline), check(scorer, headline, f"{line}\n\n{BODY}")
    lines = len(scorer.score(line).segments)
    assert alone.segment is not None
    assert repeated.segment == alone.segment + lines
    assert (repeated.attribution, repeated.score) == (alone.attribution, alone.score)
    assert [own.text for own in repeated.own_wording] == [own.text for own in alone.own_wording]
    assert scorer.score(line, headline).headline_check is None


def test_a_sentence_in_the_headlines_words_carries_its_claim(scorer: Scorer) -> None:
    assert check(scorer, "The plan is up", f"The plan is up. {BODY}").segment == 1
    running, apart = f"The plan is up! {BODY}", f"The plan is up!\n{BODY}"
    assert check(scorer, "The plan is up", running).segment == 1
    assert check(scorer, "The plan is up", apart).segment != 1
    deep = "\n".join(["Another report."] * LEAD + ["The plan is up!"])
    assert check(scorer, "The plan is up", deep).segment == LEAD + 1


def test_a_headline_without_words_of_content_is_unsupported(scorer: Scorer) -> None:
    assert check(scorer, "And so?").outcome == "unsupported"


def test_what_is_too_long_is_no_headline(scorer: Scorer) -> None:
    assert scorer.score(BODY, "7" + "'" * 999).headline_check is not None
    assert scorer.score(BODY, "7" + "'" * 1000).headline_check is None


def test_a_long_body_is_compared_in_blocks(embedding_folder: Path) -> None:
    near = framelens.load(embedding_folder)
    body = "The mayor is up. " * 150 + "The road is closed."
    assert check(near, "Plan closed", body).segment == 151


def test_a_first_line_is_a_headline_too(scorer: Scorer) -> None:
    text = f"Shameful road closed\n\n{BODY} {BODY}"
    found = scorer.score(text).headline_check
    assert found is not None
    assert text[found.own_wording[0].start : found.own_wording[0].end] == "Shameful"


def test_the_row_is_json_and_the_headlines_row_has_it_exploded(scorer: Scorer) -> None:
    document = scorer.score(BODY, "Another road closed", id="a")
    row = document.to_dict()
    assert json.loads(json.dumps(row)) == row
    exploded = segment_rows(document)
    assert [bool(r["headline_check"]) for r in exploded] == [True, False, False]
    assert exploded[0]["headline_check"] == row["headline_check"]


def test_a_document_comes_back_from_its_row(scorer: Scorer) -> None:
    document = scorer.score(BODY, "Another road closed", id="a")
    row = document.to_dict()
    assert row["headline_check"]["dropped_score"] >= SURE
    assert document_of(row) == document
    del row["headline_check"]["dropped_score"]  # as older rows are
    older = document_of(row).headline_check
    assert document.headline_check is not None
    assert older == replace(document.headline_check, dropped_score=None)


def test_the_table_shows_it(scorer: Scorer) -> None:
    shown = render(scorer.score(BODY, "Shameful road closed"), color=False)
    assert "attribution dropped (source: minister)" in " ".join(shown.split())
    assert "“Shameful” (1.00)" in " ".join(shown.split())
    assert "carried by “The minister said a road closed.”" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 80
    unsupported = render(scorer.score(BODY, "Shameful, she ranted"), color=False)
    assert "no segment carries its claim" in unsupported


# What becomes of the attribution: by hand-made segments, as a model would score them.


def segment(text: str, role: Role = "body", attributed: float = 0.9, **spans: str) -> ScoredSegment:
    found = [
        Span(kind, text.index(part), text.index(part) + len(part), part, 0.9)  # type: ignore[arg-type]
        for kind, part in spans.items()
    ]
    scores = {"attributed": attributed, "framed": 0.1, "boilerplate": 0.0}
    field = "headline" if role == "headline" else "text"
    return ScoredSegment(0, role, field, 0, len(text), text, "plain", False, scores, tuple(found))  # type: ignore[arg-type]


def said_in(segments: list[ScoredSegment], place: int) -> Speaker:
    """Who speaks in a segment, whose first content carries the claim."""
    return speaker_of(segments, place, lambda content: 0.0)


NAMED = segment(
    "On Monday the engineer Ada Quist said the wall was a time bomb.",
    source="the engineer Ada Quist",
    cue="said",
    content="the wall was a time bomb",
)
NIGHT = segment(
    "Quist said it falls at night.", source="Quist", cue="said", content="it falls at night"
)
AMERICAN = segment(
    "The wall is a time bomb, the US said.", source="the US", cue="said", content="The wall is"
)
OPENING = segment("Ada Quist said the wall moves.", source="Ada Quist", cue="said")
MIDDLE = segment("On Monday Quist said the wall moves.", source="Quist", cue="said")
UNNAMED = segment("Villagers say the wall moves.", source="Villagers", cue="say")
CONVICTION = segment("A jury found Lee guilty of fraud.", source="A jury", cue="found")
NOMINATION = segment("Lee was nominated for the port.", cue="nominated")
UNKNOWN = segment("The wall is said to move.", cue="said")
REJECTED = segment("Lee said that the plan was rejected.", source="Lee", cue="said")
NO_CUE = segment("Lee had the plan rejected.", source="Lee")
RULING = segment("The court ruled that the wall must go.", source="The court", cue="ruled")
RULING_WITHOUT_CUE = segment("The court ruled that the wall stays.", source="The court")
IN_ORDER = segment(
    "In order to warn the town, Ines Okafor: “The wall moves.”",
    source="Ines Okafor",
    content="“The wall moves.”",
)
APPOINTED = segment(
    "Appointed in May, Ines Okafor, in order to warn: “The wall moves.” A plan was rejected.",
    source="Ines Okafor",
    content="“The wall moves.”",
)
TITLED = segment(
    "Harbour engineer Ines Okafor said the wall was moving.",
    source="Harbour engineer Ines Okafor",
    cue="said",
    content="the wall was moving",
)
GROUPED = segment(
    "Survivor Ann Lee of the Tarn fire group said the wall was moving.",
    source="Survivor Ann Lee of the Tarn fire group",
    cue="said",
    content="the wall was moving",
)
CLINGING = segment(
    "Lee, who was found clinging to a tree, said the council was guilty of a fault.",
    source="Lee",
    cue="said",
    content="the council was guilty of a fault",
)
FELT_GUILTY = segment(
    "Detectives found letters in which Lee wrote that he felt guilty about the money.",
    source="Lee",
    cue="wrote",
    content="that he felt guilty about the money",
)
VOWED = segment("Lee vowed to find the guilty men.", source="Lee", cue="vowed")
CONVICTED = segment("A jury found the former mayor, Ann Lee, guilty.", source="A jury", cue="found")
SIGNED = segment(
    "“The ruling party stole the votes.” — Ada Quist",
    source="Ada Quist",
    content="“The ruling party stole the votes.”",
)


@pytest.mark.parametrize(
    ("headline", "source", "body", "expected"),
    [
        ("Wall is a time bomb", None, NAMED, "dropped"),
        ("Wall is a time bomb, says engineer", "engineer", NAMED, "kept"),
        ("Wall is a time bomb, officials say", "officials", NAMED, "weakened"),
        ("Wall is a time bomb, aid workers say", "aid workers", NAMED, "weakened"),
        ("Wall is a time bomb, Tarn Engineers say", "Tarn Engineers", NAMED, "kept"),
        ("Residents: wall is a time bomb", "Residents", NAMED, "weakened"),
        ("US says wall is a time bomb", "US", NAMED, "kept"),
        ("US frets over wall", None, AMERICAN, "dropped"),
        ("US: wall is a time bomb", None, AMERICAN, "kept"),
        ("Ada Quist: wall is a time bomb", None, NAMED, "kept"),
        ("Ada on fire: wall is a time bomb", None, NAMED, "dropped"),
        ("Wall is a time bomb for us", None, AMERICAN, "dropped"),
        ("Wall is a time bomb, leaked documents say", "leaked documents", NAMED, "kept"),
        ("Wall is a time bomb, say Wallmenders", "Wallmenders", NAMED, "kept"),
        ("Wallmenders say wall is a time bomb", "Wallmenders", NAMED, "kept"),
        ("Insiders say wall is a time bomb", "Insiders", NAMED, "weakened"),
        ("Wall is a 'time bomb' for all of Tarn?", None, NAMED, "none_needed"),
        ("Old wall by 'the engineer' is falling", None, NAMED, "dropped"),
        ("Wall is a time bomb, Quist engineers say", "Quist engineers", NAMED, "kept"),
        ("Wall moves, officials say", "officials", OPENING, "weakened"),
        ("Wall moves, officials say", "officials", MIDDLE, "weakened"),
        ("Wall is moving, villagers say", "villagers", UNNAMED, "kept"),
        ("Wall is moving, locals say", "locals", UNNAMED, "kept"),
        ("Officials: wall is a time bomb", None, NAMED, "weakened"),
        ("Wall is a time bomb: report", None, NAMED, "kept"),
        ("Wall is a time bomb - report", None, NAMED, "kept"),
        ("Wall is a time bomb – engineer", None, NAMED, "kept"),
        ("Wall is a time bomb -sources", None, NAMED, "weakened"),
        ("Wall is a time bomb -Quist", None, NAMED, "kept"),
        ("Wall is a time bomb -- report", None, NAMED, "kept"),
        ("Wall is a time bomb ―report", None, NAMED, "kept"),
        ("Wall - repaired ten years ago - is a time bomb - report", None, NAMED, "kept"),
        ("Wall is a time bomb at -5 degrees: engineer", None, NAMED, "kept"),
        ("Wall is a time bomb at -5, one survey", None, NAMED, "dropped"),
        ("Wall is a time bomb – after ten years", None, NAMED, "dropped"),
        ("Wall is a time bomb-report", None, NAMED, "dropped"),
        ("Villagers: wall moves", None, UNNAMED, "kept"),
        ("New harbour report: wall is a time bomb", None, NAMED, "kept"),
        ("Ten years on: wall is a time bomb", None, NAMED, "dropped"),
        ("Union dispute: wall is a time bomb", None, NAMED, "dropped"),
        ("Union boss: wall is a time bomb", None, NAMED, "kept"),
        ("Police warn: wall is a time bomb", None, NAMED, "kept"),
        ("Wall is a time bomb: fatal police raid", None, NAMED, "dropped"),
        ("The fall: wall is a time bomb", None, NAMED, "dropped"),
        ("The engineer: wall is a time bomb", None, NAMED, "kept"),
        ("Wall is a time bomb, say the locals", "the locals", NAMED, "weakened"),
        ("Wall is reportedly a time bomb", None, NAMED, "weakened"),
        ("Wall said to be a time bomb", None, NAMED, "weakened"),
        ("Builder allegedly made time bomb", "Builder", NAMED, "weakened"),
        ("Builder is said to have made time bomb", "Builder", NAMED, "weakened"),
        ("Builder accused of making a time bomb", "Builder", NAMED, "weakened"),
        ("Builder is suspected of making a time bomb", None, NAMED, "weakened"),
        ("Wall is allegedly a time bomb, engineer says", "engineer", NAMED, "kept"),
        ("Wall was 'a time bomb'", None, NAMED, "kept"),
        ("Wall is a 'time bomb'", None, NAMED, "kept"),
        ("Old harbour wall is now a 'time bomb' for all", None, NAMED, "weakened"),
        ("“Our ‘repaired’ wall, that is a bomb for all of us in Tarn”", None, NAMED, "kept"),
        ("Old harbour wall is now a „time bomb“ for all", None, NAMED, "weakened"),
        ("The mayor's 'repaired' wall is a time bomb", None, NAMED, "dropped"),
        ("Wall isn't the mayor's, it's the port's", None, NAMED, "dropped"),
        ("Bed 'n' board beside a time bomb of a wall", None, NIGHT, "dropped"),
        ("Old harbour wall is now a ‹time bomb› for all", None, NAMED, "weakened"),
        ("Old harbour wall is now a ›time bomb‹ for all", None, NAMED, "weakened"),
        ("Harbour wall of old Tarn is now a “…” for all", None, NAMED, "dropped"),
        ("Engineer cries foul over wall", None, NAMED, "dropped"),
        ("Is the wall a time bomb?", None, NAMED, "none_needed"),
        ("Is the wall of old Tarn now a time bomb?!", None, NAMED, "none_needed"),
        ("Is the old wall of Tarn, a time bomb, really »safe?«", None, NAMED, "none_needed"),
        ("Don’t call the wall a time bomb", None, NAMED, "none_needed"),
        ("No, the wall is a time bomb", None, NAMED, "none_needed"),
        ("Stopgap: wall is a time bomb", None, NAMED, "dropped"),
        ("Stop and think: the wall is a time bomb", None, NAMED, "none_needed"),
        ("Stop and search at wall is a time bomb", None, NAMED, "dropped"),
        ("Wall mended amid allegations of a time bomb", None, NAMED, "weakened"),
        ("Harbour warning: wall is a time bomb", None, NAMED, "weakened"),
        ("Warning signs on wall, a time bomb", None, NAMED, "dropped"),
        ("Lee for the port", None, NOMINATION, "none_needed"),
        ("Wall must go", None, RULING, "none_needed"),
        ("Wall must stay", None, RULING_WITHOUT_CUE, "none_needed"),
        ("Wall moves", None, IN_ORDER, "dropped"),
        ("Wall moves", None, APPOINTED, "dropped"),
        ("Ruling party stole votes", None, SIGNED, "dropped"),
        ("Officials: wall is moving", None, UNKNOWN, "kept"),
        ("Harbour news: wall is moving", None, UNKNOWN, "dropped"),
        ("Plan is off", None, REJECTED, "dropped"),
        ("Plan is off", None, NO_CUE, "none_needed"),
        ("Builder convicted", None, CONVICTION, "none_needed"),
        ("Wall must go, court rules", "court", RULING, "kept"),
        ("Harbour: wall is moving", None, TITLED, "dropped"),
        ("Harbour engineer: wall is moving", None, TITLED, "kept"),
        ("Wall is moving - Okafor", None, TITLED, "kept"),
        ("Fire: wall is moving", None, GROUPED, "dropped"),
        ("What Quist said to Lee: wall is a time bomb", "Quist", NAMED, "kept"),
        ("Lee accused of hiding a time bomb", None, NAMED, "weakened"),
        ("Lee accused of hiding a time bomb by engineer Quist", None, NAMED, "kept"),
        ("Lee accused of standing by as wall moved", None, TITLED, "weakened"),
        ("Plan by Okafor allegedly unlawful", None, TITLED, "weakened"),
        ("Wall allegedly wrecked by Okafor", None, TITLED, "weakened"),
        ("Monday: wall is moving", None, GROUPED, "dropped"),
        ("Guilty men took the money", None, VOWED, "dropped"),
        ("Council knew of the fault", None, CLINGING, "dropped"),
        ("Lee took the money", None, FELT_GUILTY, "dropped"),
        ("Former mayor took the money", None, CONVICTED, "none_needed"),
    ],
)
def test_what_becomes_of_the_attribution(
    headline: str, source: str | None, body: ScoredSegment, expected: Attribution
) -> None:
    spans = {} if source is None else {"source": source, "content": headline[-3:]}
    head = segment(headline, "headline", 0.1, **spans)
    attributed = source is not None
    found = headline_attribution(head, body, said_in([body], 0), headline_attributed=attributed)
    assert found == expected


@pytest.mark.parametrize(
    ("spans", "attributed", "expected"),
    [
        ({"source": "Court", "cue": "says", "content": "must"}, True, "kept"),
        ({"source": "Court", "cue": "orders", "content": "must"}, True, "none_needed"),
        ({"source": "Court", "cue": "says", "content": "orders wall must"}, True, "kept"),
        ({"source": "Court", "cue": "says", "content": "must"}, False, "dropped"),
        ({"source": "Court", "cue": "says"}, True, "none_needed"),
        ({"content": "must"}, True, "kept"),
        ({"content": "must"}, False, "dropped"),
        ({"source": "Court", "cue": "says"}, False, "dropped"),
    ],
)
def test_who_decides_or_says_nothing_is_no_source_of_a_claim(
    spans: dict[str, str], attributed: bool, expected: Attribution
) -> None:
    head = segment("Court says and orders wall must be built", "headline", **spans)
    found = headline_attribution(head, NAMED, said_in([NAMED], 0), headline_attributed=attributed)
    assert found == expected


def test_a_part_in_quotation_marks_does_not_weaken_what_is_kept() -> None:
    head = segment("Old harbour wall is now a 'time bomb' for all", "headline", content="wall")
    speaker = said_in([NAMED], 0)
    assert headline_attribution(head, NAMED, speaker, headline_attributed=True) == "kept"
    assert headline_attribution(head, NAMED, speaker, headline_attributed=False) == "weakened"


def test_a_headline_that_the_model_calls_attributed_keeps_it() -> None:
    head = segment("Wall a time bomb for engineer", "headline", content="time bomb")
    speaker = said_in([NAMED], 0)
    assert headline_attribution(head, NAMED, speaker, headline_attributed=True) == "kept"


def test_a_quotation_that_goes_on_has_the_source_before_it() -> None:
    more = segment('"It will fall."', content='"It will fall."')
    plain = segment("It rained.", attributed=0.1)
    assert said_in([NAMED, more, more], 2).source == NAMED.spans[0]
    assert said_in([NAMED, plain, more], 2) == Speaker(None, None)
    furniture = replace(
        segment("Read on with Ines Okafor", source="Ines Okafor"), label="boilerplate"
    )
    assert said_in([NAMED, furniture, more], 2).source == NAMED.spans[0]
    assert said_in([plain, more], 1) == Speaker(None, None)
    head = segment("Engineer: wall falls", "headline", source="Engineer")
    assert said_in([head, more], 1) == Speaker(None, None)
    two = replace(plain, spans=(OPENING.spans[0], NAMED.spans[0]))
    assert said_in([two, more], 1).source == NAMED.spans[0]
    assert said_in([NAMED, plain], 1) == Speaker(None, None)


def test_of_two_who_speak_the_one_is_meant_whose_words_carry_the_claim() -> None:
    text = "The mayor said the wall is safe, while the engineer warned that it may fall soon."
    spans = [("source", "The mayor"), ("cue", "said"), ("content", "the wall is safe")]
    spans += [("source", "the engineer"), ("cue", "warned"), ("content", "that it may fall soon")]
    body = replace(
        segment(text),
        spans=tuple(
            Span(kind, text.index(part), text.index(part) + len(part), part, 0.9)  # type: ignore[arg-type]
            for kind, part in spans
        ),
    )
    for wanted, source, cue in (
        ("safe", "The mayor", "said"),
        ("fall", "the engineer", "warned"),
    ):
        found = speaker_of([body], 0, lambda content, wanted=wanted: wanted in content.text)
        assert found.source is not None
        assert found.cue is not None
        assert (found.source.text, found.cue.text) == (source, cue)


def test_a_capital_at_the_start_of_another_sentence_makes_no_name() -> None:
    first = segment("Residents said “the wall is old.", source="Residents", cue="said",
                    content="“the wall is old.")  # fmt: skip
    second = segment("It is about to fall.”", content="It is about to fall.”")
    head = segment("Wall is about to fall, locals say", "headline", source="locals", content="Wall")
    speaker = said_in([first, second], 1)
    assert speaker.source == first.spans[0]
    assert headline_attribution(head, second, speaker, headline_attributed=True) == "kept"


# When a headline has dropped an attribution for sure: by hand-made segments, compared by letters.

SAID = segment(
    "The mayor said the road closed.",
    source="The mayor",
    cue="said",
    content="the road closed",
)
OTHER = segment("It is up.", attributed=0.1)


def held(
    featurizer: Featurizer,
    headline: str,
    *body: ScoredSegment,
    attributed: float = 0.1,
    threshold: float = 0.5,
) -> HeadlineCheck:
    """The check of a headline and body segments that are in different fields, each from 0 on."""
    head = segment(headline, "headline", attributed)
    segments = [replace(item, index=at) for at, item in enumerate((head, *body))]
    tokenized = featurizer.tokenize([s.text for s in segments], [s.role for s in segments])
    logits = [np.zeros((len(item.ids), 8), dtype=np.float32) for item in tokenized]
    thresholds = {"attributed": threshold, "framed": 0.5, "boilerplate": 0.5}
    found = check_headline(segments, tokenized, logits, DecodingConfig(thresholds=thresholds))
    assert found is not None
    return found


def test_an_attribution_is_dropped_when_what_the_source_says_is_what_the_headline_says(
    featurizer: Featurizer,
) -> None:
    found = held(featurizer, "Road closed", SAID)
    assert (found.attribution, found.attributed) == ("dropped", True)
    beside = segment(
        "The road closed, and the mayor said it is a plan.",
        source="the mayor",
        cue="said",
        content="it is a plan",
    )
    found = held(featurizer, "Road closed", beside)
    assert (found.attribution, found.attributed) == ("none_needed", True)
    assert held(featurizer, "Plan", beside).attribution == "dropped"
    both = segment("Closed, said the mayor, is closed.", content="Closed", source="the mayor")
    assert held(featurizer, "Closed", both).attribution == "dropped"
    first = segment("Closed, said the mayor.", content="Closed", source="the mayor")
    assert held(featurizer, "Closed", first).attribution == "dropped"


def test_an_attribution_is_not_dropped_where_nothing_shows_whose_it_is(
    featurizer: Featurizer,
) -> None:
    quoted = segment("“The road closed.”", content="“The road closed.”")
    assert held(featurizer, "Road closed", quoted).attribution == "none_needed"
    assert held(featurizer, "Road closed", SAID, quoted).attribution == "dropped"
    assert held(featurizer, "Road closed", replace(SAID, spans=())).attribution == "none_needed"
    source, cue, content = SAID.spans
    for shown in (source, cue):
        shows = replace(SAID, spans=(shown, content))
        assert held(featurizer, "Road closed", shows).attribution == "dropped"


def falling(*found: HeadlineCheck) -> bool:
    scores = [check.dropped_score or 0.0 for check in found]
    return scores == sorted(scores, reverse=True) and len(set(scores)) == len(scores)


def test_the_nearer_a_headline_is_to_being_attributed_the_less_it_has_dropped(
    featurizer: Featurizer,
) -> None:
    found = [held(featurizer, "Road closed", SAID, attributed=a) for a in (0.0, 0.1, 0.3, 0.49)]
    assert falling(*found)
    assert {check.attribution for check in found} == {"dropped"}
    assert held(featurizer, "Road closed", SAID, attributed=0.51).dropped_score is None


def test_an_attribution_is_dropped_from_a_limit_on(featurizer: Featurizer) -> None:
    body = (SAID, *[replace(OTHER, scores={**OTHER.scores, "framed": 0.7})] * 7)
    headline = "Road closed: news, news of another minister"
    found = held(featurizer, headline, *body)
    assert found.dropped_score is not None
    assert found.dropped_score < SURE
    assert (found.attribution, found.attributed) == ("none_needed", True)
    for framed in np.linspace(0, 1, 30):
        lead = [replace(s, scores={**s.scores, "framed": float(framed)}) for s in body]
        said = held(featurizer, headline, *lead)
        assert said.dropped_score is not None
        assert (said.attribution == "dropped") == (said.dropped_score >= SURE)
    assert held(featurizer, "Road closed", *body).attribution == "dropped"


def test_nothing_is_dropped_for_sure_where_nothing_speaks_for_it() -> None:
    assert DroppedSigns(0, 0, 0, 0, 0, 0).probability() < SURE


def test_an_opinion_piece_drops_less(featurizer: Featurizer) -> None:
    def body(framed: float) -> list[ScoredSegment]:
        lead = [replace(s, scores={**s.scores, "framed": framed}) for s in [SAID, *[OTHER] * 7]]
        return [*lead, *[replace(OTHER, scores={**OTHER.scores, "framed": 1 - framed})] * 8]

    assert falling(*[held(featurizer, "Road closed", *body(f)) for f in (0.0, 0.5, 1.0)])


def test_what_the_outlet_says_itself_needs_no_source(featurizer: Featurizer) -> None:
    own = segment("It was the road that closed.", attributed=0.1)
    assert held(featurizer, "Road closed", SAID, own).attribution == "none_needed"
    other = segment("The road is up.", attributed=0.1)
    beside = held(featurizer, "Road closed", SAID, other)
    assert beside.attribution == "dropped"
    assert falling(held(featurizer, "Road closed", SAID, OTHER), beside)
    partly = segment("It is news that the road closed.", attributed=0.3, content="the road closed")
    assert held(featurizer, "Road closed", SAID, partly).attribution == "dropped"
    sourced = replace(own, scores={**own.scores, "attributed": 0.9})
    assert held(featurizer, "Road closed", SAID, sourced).attribution == "dropped"
    most = segment("The mayor is to report the plan.", attributed=0.1)
    whole = segment(
        "The mayor is to report the plan on a road, it said.",
        cue="said",
        content="The mayor is to report the plan on a road",
    )
    road = segment("The road is up.", attributed=0.1)
    found = held(featurizer, "Mayor to report plan on road", whole, most, road)
    assert (found.segment, found.attribution) == (1, "dropped")


def test_a_body_of_one_segment_carries_as_little_by_chance_as_one_of_two(
    featurizer: Featurizer,
) -> None:
    one, two = held(featurizer, "Road closed", SAID), held(featurizer, "Road closed", SAID, OTHER)
    assert one.dropped_score == two.dropped_score


def test_a_segment_behind_the_lead_must_carry_more(featurizer: Featurizer) -> None:
    near = segment("The news and the plan of a minister on the road.", attributed=0.1)
    far = segment("The news and the plan of a minister: the road closed.", attributed=0.1)
    headline = "News: minister, road plan closed"
    assert held(featurizer, headline, near, far).segment == 2
    assert held(featurizer, headline, near, *[OTHER] * LEAD, far).segment == 1
    assert held(featurizer, headline, *[OTHER] * LEAD, near, far).segment == LEAD + 2
    less = segment("The news and the plan of a minister.", attributed=0.1)
    assert held(featurizer, headline, less, *[OTHER] * LEAD, far).segment == LEAD + 2


def test_the_best_of_many_segments_must_carry_more_than_chance(featurizer: Featurizer) -> None:
    headline = "Road closed: news of another minister"
    bodies = [[SAID, *[OTHER] * more] for more in (3, 10, 30)]
    assert falling(*[held(featurizer, headline, *body) for body in bodies])
    assert falling(*[held(featurizer, text, *bodies[-1]) for text in ("Road closed", headline)])


def test_what_a_source_says_in_a_segment_is_attributed_whatever_the_rest_is(
    featurizer: Featurizer,
) -> None:
    doubtful = segment(
        "It is up, and the mayor said the road closed.",
        attributed=0.3,
        source="the mayor",
        cue="said",
        content="the road closed",
    )
    found = held(featurizer, "Road closed", doubtful)
    assert (found.attributed, found.attribution) == (True, "dropped")
    assert found.source is not None
    beside = segment(
        "The road closed, and the mayor said it is a plan.",
        attributed=0.3,
        source="the mayor",
        cue="said",
        content="it is a plan",
    )
    assert not held(featurizer, "Road closed", beside).attributed
    assert held(featurizer, "Road closed", beside, threshold=0.3).attributed
    both = segment("Closed, he said, is closed.", attributed=0.3, cue="said", content="Closed")
    assert held(featurizer, "Closed", both).attributed
    plain = held(featurizer, "Road closed", replace(doubtful, spans=()))
    assert (plain.attributed, plain.attribution) == (False, "none_needed")


def test_a_quotation_may_have_its_source_in_a_later_sentence() -> None:
    first = segment('"It will fall.', content='"It will fall.')
    second = segment("It moves.", content="It moves.")
    third = segment('We ran," Lee said.', content='We ran,"', source="Lee", cue="said")
    second, third = (
        replace(each, spans=tuple(replace(s, continues=s.type == "content") for s in each.spans))
        for each in (second, third)
    )
    for place in (1, 2, 3):
        assert said_in([NAMED, first, second, third], place).source == third.spans[1]
    signature = segment("— Ann Lee, engineer", source="Ann Lee, engineer")
    for place in (1, 2):
        assert said_in([NAMED, first, second, signature], place).source == signature.spans[0]
    assert said_in([NAMED, second, third], 1).source == NAMED.spans[0]
    assert said_in([NAMED, first, second], 1).source == NAMED.spans[0]


def test_of_several_sources_the_one_nearest_to_the_cue_speaks() -> None:
    def source(text: str, *names: str) -> str | None:
        spans = [segment(text, source=name).spans[0] for name in names]
        cue = segment(text, cue="said").spans[0]
        found = said_in([replace(segment(text), spans=(*spans, cue))], 0).source
        return None if found is None else found.text

    assert source("After Lee had gone it fell, said Vance.", "Lee", "Vance") == "Vance"
    assert source("Lee said that it fell on Vance.", "Lee", "Vance") == "Lee"


# Words.


def test_stems_and_words_alike() -> None:
    assert stem_of("votes") == stem_of("voted") == stem_of("voting")
    assert stem_of("nineteen") == stem_of("19") == stem_of("19bn")
    assert stem_of("1,800") == "1800"
    assert alike("climat", "climatic")
    assert not alike("port", "portugal")
    assert not alike("2019", "2018")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The mayor's plan, and a road!", ["mayor", "plan", "road"]),
        ("US to leave WHO over IT", ["US", "leave", "WHO", "IT"]),
        ("WHO IS TO LEAVE THE ROAD", ["LEAVE", "ROAD"]),
        ("In 2019, 1,000 of 2.5m left", ["2019", "1,000", "2.5", "left"]),
    ],
)
def test_function_words_and_marks_are_no_content(
    featurizer: Featurizer, text: str, expected: list[str]
) -> None:
    words = content_words(text, featurizer.tokenize([text], ["body"])[0])
    found = [text[a:b] for a, b in zip(words.starts, words.ends, strict=True)]
    assert found == expected


def test_a_figure_is_one_word(featurizer: Featurizer) -> None:
    texts = ["1,000 jobs", "1000 jobs of 3.5", "3"]
    first, second, third = (
        content_words(text, segment).stems
        for text, segment in zip(texts, featurizer.tokenize(texts, ["body"] * 3), strict=True)
    )
    assert first[0] == second[0] == "1000"
    assert second[-1] != third[0]


def test_rare_words_weigh_more(featurizer: Featurizer) -> None:
    texts = ["mayor road", "mayor plan", "mayor news", "road report"]
    head, *body = (
        content_words(t, s)
        for t, s in zip(texts, featurizer.tokenize(texts, ["body"] * 4), strict=True)
    )
    alignment = align(head, body)
    assert alignment.weights[1] > alignment.weights[0]
    assert alignment.scores().argmax() == 2


# Embeddings, from a graph that has them.


def with_embeddings() -> onnx.ModelProto:
    """The look-up graph with an embedding a token, in which "road" and "plan" are alike."""
    model = lookup_graph()
    table = np.eye(len(VOCABULARY), dtype=np.float32)
    table[VOCABULARY["plan"]] = table[VOCABULARY["road"]]
    model.graph.initializer.append(numpy_helper.from_array(table, "embeddings"))
    model.graph.node.append(
        helper.make_node("Gather", ["embeddings", "input_ids"], ["token_embeddings"])
    )
    model.graph.output.append(
        helper.make_tensor_value_info(
            "token_embeddings", TensorProto.FLOAT, [1, "t", len(VOCABULARY)]
        )
    )
    return model


@pytest.fixture(scope="module")
def embedding_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_model(tmp_path_factory.mktemp("embedding") / "model")
    manifest = Artifact.open(folder).manifest
    onnx.save(with_embeddings(), str(folder / MODEL_FILE))
    write_manifest(folder, manifest)
    return folder


def test_embeddings_find_what_letters_do_not(scorer: Scorer, embedding_folder: Path) -> None:
    body = "The mayor is up. The road is closed."
    near = framelens.load(embedding_folder)
    assert check(near, "Plan", body).segment == 2
    assert check(scorer, "Plan", body).outcome == "unsupported"


def test_limits_for_letters_are_not_those_for_embeddings(
    scorer: Scorer, embedding_folder: Path
) -> None:
    """A word that all segments have is enough by letters, which are seldom alike by chance."""
    headline, body = "Mayor ranted", "The mayor is up."
    near = framelens.load(embedding_folder)
    assert check(scorer, headline, body).outcome == "supported"
    assert check(near, headline, body).outcome == "unsupported"


def test_a_words_vector_is_the_sum_of_its_pieces_and_has_length_1(featurizer: Featurizer) -> None:
    texts = ["the road plans", "mayors"]
    segments = featurizer.tokenize(texts, ["body"] * 2)
    words = [content_words(t, s) for t, s in zip(texts, segments, strict=True)]
    vectors = TokenVectors(len(VOCABULARY), 3)
    pieces = {"road": (2, 0, 0), "plan": (0, 3, 0), "mayor": (0, 0, 1), "##s": (4, 0, 0)}
    ids = [VOCABULARY[piece] for piece in pieces]
    vectors.add(np.array(ids), np.array(list(pieces.values()), dtype=np.float32))
    found = word_vectors(words, segments, vectors)
    assert found is not None
    assert np.allclose(found, [[1, 0, 0], [0.8, 0.6, 0], [16 / 17**0.5 / 4, 0, 1 / 17**0.5]])


@pytest.mark.parametrize(
    ("cosine", "loaded", "body", "expected"),
    [
        (0.14, False, ["Road closed."], []),
        (0.11, False, ["Road closed."], ["plan"]),
        (0.21, True, ["Road closed."], ["plan"]),
        (0.24, True, ["Road closed."], []),
        (0.17, False, ["Road.", "Closed."], ["plan"]),
        (0.19, False, ["Road.", "Closed."], []),
    ],
)
def test_a_word_is_the_headlines_own_if_none_of_the_body_comes_near(
    featurizer: Featurizer, cosine: float, loaded: bool, body: list[str], expected: list[str]
) -> None:
    """A loaded word needs a nearer one, and one in another segment counts less."""
    texts = ["Road plan", *body]
    roles: list[Role] = ["headline", *["body"] * len(body)]  # type: ignore[list-item]
    segments = [
        replace(segment(t, r), index=at) for at, (t, r) in enumerate(zip(texts, roles, strict=True))
    ]
    tokenized = featurizer.tokenize(texts, roles)
    logits = [np.full((len(item.ids), 8), -9.0, dtype=np.float32) for item in tokenized]
    if loaded:
        logits[0][1, -1] = 9
    vectors = TokenVectors(len(VOCABULARY), 3)
    rows = {"road": (1, 0, 0), "plan": (0, 1, 0), "closed": (0, cosine, (1 - cosine**2) ** 0.5)}
    ids = np.array([VOCABULARY[word] for word in rows])
    vectors.add(ids, np.array(list(rows.values()), dtype=np.float32))
    found = check_headline(segments, tokenized, logits, DecodingConfig(), vectors)
    assert found is not None
    assert (found.segment, [own.text for own in found.own_wording]) == (1, expected)


def test_logits_do_not_depend_on_the_embeddings(scorer: Scorer, embedding_folder: Path) -> None:
    near = framelens.load(embedding_folder)
    for headline in (None, "Road closed"):
        ours, theirs = near.score(BODY, headline), scorer.score(BODY, headline)
        assert ours.segments == theirs.segments


def test_a_window_from_the_cache_is_checked_the_same(embedding_folder: Path) -> None:
    near = framelens.load(embedding_folder)
    first, second = (near.score(BODY, "Shameful plan closed") for _ in range(2))
    assert first == second
    uncached = Scorer(Artifact.open(embedding_folder), cached_windows=0)
    assert uncached.score(BODY, "Shameful plan closed") == first


def test_a_window_that_was_first_read_without_a_headline_is_checked_the_same(
    embedding_folder: Path,
) -> None:
    fresh, used = framelens.load(embedding_folder), framelens.load(embedding_folder)
    used.score(BODY)  # its last window stands in the next document as well
    assert used.score(BODY, "Plan") == fresh.score(BODY, "Plan")


def test_token_vectors_know_what_they_have_seen() -> None:
    vectors = TokenVectors(vocabulary=5, width=2)
    ids = np.array([3, 1, 3])
    assert vectors.get(ids) is None
    vectors.add(ids, np.array([[1, 2], [3, 4], [1, 2]], dtype=np.float32))
    found = vectors.get(np.array([1, 3]))
    assert found is not None
    assert found.tolist() == [[3, 4], [1, 2]]
    assert vectors.get(np.array([1, 0])) is None


def test_the_values_are_frozen() -> None:
    own = OwnWording(0, 4, "Mess", 0.9)
    with pytest.raises(AttributeError):
        own.loaded = 0.1  # type: ignore[misc]


def test_the_tokenizer_tells_the_size_of_its_vocabulary() -> None:
    assert Featurizer(make_tokenizer()).vocabulary == len(VOCABULARY)
