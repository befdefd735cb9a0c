from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from framelens.decoding import DecodingConfig, Floats
from framelens.features import Featurizer, WindowFeatures
from framelens.schema import AXES, BIO_TAGS, SPAN_LOGITS
from framelens_training import context_agreement
from framelens_training.cofenet_protocol import cofenet_scores, score_documents
from framelens_training.context_agreement import agreement, differences
from framelens_training.corpora.cofenet import TokenSentence
from framelens_training.corpora.labelled import Annotated, GoldSegment, GoldSpan, LabelledDocument
from framelens_training.corpora.markup import parse_markup
from framelens_training.evaluation import span_metrics
from framelens_training.predictions import predict
from framelens_training.span_matching import partial_metrics
from framelens_training.targets import LabelledFeatures, featurize_document
from support import gold_network, logits_of, perfect_logits

ARTICLE = """#id: d1

-| A plan.
a| {s|The mayor} {c|said} {q|roads closed}.
a| He said so.
b| Sign up
"""


def test_spans_in_page_furniture_do_not_count(featurizer: Featurizer) -> None:
    item = featurize_document(parse_markup(ARTICLE)[0], featurizer)
    logits = logits_of(item, perfect_logits(item))
    first = np.flatnonzero(item.targets[-1].tags >= 0)[0]
    logits.tokens[-1][first, BIO_TAGS.index("B-source")] = 20.0
    for furniture, spurious in ((-9.0, 1), (9.0, 0)):
        logits.segments[-1, AXES.index("boilerplate")] = furniture
        assert partial_metrics([item], [logits], DecodingConfig())["source"].spurious == spurious
        exact = span_metrics([item], [logits], DecodingConfig())["source"]
        assert exact.found - exact.gold == spurious
        anywhere = span_metrics([item], [logits], DecodingConfig(), anywhere=True)["source"]
        assert anywhere.found - anywhere.gold == 1


def test_partial_matches_count_half(featurizer: Featurizer) -> None:
    item = featurize_document(parse_markup(ARTICLE)[0], featurizer)
    logits = logits_of(item, perfect_logits(item))
    perfect = partial_metrics([item], [logits], DecodingConfig())
    assert {kind: m.f1 for kind, m in perfect.items() if m.exact} == {
        "source": 1.0, "cue": 1.0, "content": 1.0,
    }  # fmt: skip

    tokens = [array.copy() for array in logits.tokens]
    heads = np.flatnonzero(item.targets[1].tags >= 0)
    tokens[1][heads[-1]] = 0.0
    tokens[1][heads[-1], BIO_TAGS.index("I-content")] = 9.0  # the full stop joins the content
    first = np.flatnonzero(item.targets[2].tags >= 0)[0]
    tokens[2][first, BIO_TAGS.index("B-source")] = 20.0  # a source where there is none
    flawed = partial_metrics([item], [replace(logits, tokens=tuple(tokens))], DecodingConfig())
    content, source = flawed["content"], flawed["source"]
    assert (content.exact, content.partial, content.missed, content.spurious) == (0, 1, 0, 0)
    assert content.f1 == 0.5
    assert (source.exact, source.partial, source.spurious) == (1, 0, 1)
    assert (source.precision, source.recall) == (0.5, 1.0)

    tokens = [array.copy() for array in logits.tokens]
    tokens[1][heads, :] = 0.0
    tokens[1][heads[-1], BIO_TAGS.index("B-content")] = 9.0  # the full stop alone
    beside = partial_metrics([item], [replace(logits, tokens=tuple(tokens))], DecodingConfig())[
        "content"
    ]
    assert (beside.partial, beside.missed, beside.spurious) == (0, 1, 1)  # touching is no overlap


@pytest.mark.parametrize(
    ("annotated", "kinds"),
    [
        ({"framed"}, set()),
        ({"attribution_spans"}, {"source", "cue", "content"}),
        ({"loaded_spans"}, {"loaded"}),
    ],
)
def test_types_that_nobody_annotated_are_not_matched(
    featurizer: Featurizer, annotated: set[Annotated], kinds: set[str]
) -> None:
    document = replace(parse_markup(ARTICLE)[0], annotated=frozenset(annotated))
    item = featurize_document(document, featurizer)
    assert (
        set(partial_metrics([item], [logits_of(item, perfect_logits(item))], DecodingConfig()))
        == kinds
    )


class Reader:
    """Segment logits that rise by `company` for each further segment in the window."""

    def __init__(self, company: float) -> None:
        self.company = company

    def __call__(self, window: WindowFeatures) -> tuple[Floats, Floats]:
        size = len(window.input_ids)
        value = self.company * (len(window.pieces) - 1)
        return (
            np.full((size, len(AXES)), value, dtype=np.float32),
            np.zeros((size, len(SPAN_LOGITS)), dtype=np.float32),
        )


def test_agreement_is_nought_without_and_not_with_an_ear_for_company(
    featurizer: Featurizer,
) -> None:
    document = parse_markup(ARTICLE)[0]
    item = featurize_document(document, featurizer)
    lone = featurize_document(parse_markup("#id: d2\n\nf| {l|Shameful} plan.\n")[0], featurizer)
    config = DecodingConfig()

    def measure(company: float, documents: list[LabelledFeatures]) -> tuple[int, float, float]:
        network = Reader(company)
        found = agreement(network, featurizer, documents, predict(network, documents), config)
        return found.segments, found.framed, found.attributed

    assert measure(0.0, [item]) == (4, 0.0, 0.0)
    # Alone 1/2, in company of three others sigmoid(3); a lone sentence is not counted.
    expected = pytest.approx(1 / (1 + np.exp(-3)) - 0.5, abs=1e-6)
    assert measure(1.0, [item, lone]) == (4, expected, expected)

    nameless = replace(document, spans=())
    segments, framed, attributed = measure(1.0, [featurize_document(nameless, featurizer)])
    assert (segments, framed) == (4, expected)
    assert np.isnan(attributed)
    denied = tuple(replace(segment, attributed=False) for segment in document.segments)
    unattributed = featurize_document(replace(document, segments=denied), featurizer)
    assert np.isnan(measure(1.0, [unattributed])[2])
    found = agreement(Reader(0.0), featurizer, [lone], predict(Reader(0.0), [lone]), config)
    assert (found.segments, found.flat()) == (0, {})


def test_which_segments_name_their_source(
    featurizer: Featurizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    article = parse_markup(ARTICLE)[0]
    said = article.segments[1]
    title = replace(said, field="headline", start=0, end=said.end)
    document = replace(
        article,
        headline="A road " * 20,
        segments=(title, *article.segments),
        spans=(*article.spans, GoldSpan("headline", "cue", 0, 4)),
    )
    item = featurize_document(document, featurizer)
    logits = predict(Reader(0.0), [item])

    def named() -> list[bool]:
        found = differences(Reader(0.0), featurizer, [item], logits, DecodingConfig())
        return found.names_source.tolist()

    assert named() == [False, False, True, False, False]
    monkeypatch.setattr(context_agreement, "MOST_SEGMENTS", 4)
    assert named() == [False, True, False], "every other one"
    whole = replace(said, end=said.start + len("The mayor"))
    item = featurize_document(replace(document, segments=(title, whole)), featurizer)
    logits = predict(Reader(0.0), [item])
    assert named() == [False, True], "of nothing but its source"


TEXT = "The mayor said roads closed. Plans is closed. He said so."
SENTENCES = [
    TokenSentence("x", tuple(tokens.split()), tuple(labels.split()))
    for tokens, labels in (
        (
            "The mayor said roads closed .",
            "B-source I-source B-cue B-content I-content I-content",
        ),
        ("Plans is closed .", "B-content I-content I-content O"),
        ("He said so .", "B-source B-cue B-content O"),
    )
]
SPANS = tuple(
    GoldSpan("text", kind, TEXT.index(words), TEXT.index(words) + len(words))  # type: ignore[arg-type]
    for kind, words in (
        ("source", "The mayor"),
        ("cue", "said roads"[:4]),
        ("content", "roads closed. Plans is closed"),
        ("source", "He"),
    )
)


def polnear() -> LabelledDocument:
    """Three sentences as three segments; the content runs from the first into the second."""
    ends = [28, 45, len(TEXT)]
    starts = [0, 29, 46]
    return LabelledDocument(
        id="polnear/x",
        text=TEXT,
        annotated=frozenset({"attributed", "attribution_spans"}),
        segments=tuple(GoldSegment("text", a, b) for a, b in zip(starts, ends, strict=True)),
        spans=SPANS,
    )


def test_the_protocol_counts_spans_on_its_own_sentences() -> None:
    found = score_documents({"polnear/x": polnear()}, SENTENCES)
    assert (found.sentences, found.unread) == (3, 0)
    # The last sentence's cue and content are missing.
    assert found.spans["source"].f1 == 1.0
    assert (found.spans["cue"].gold, found.spans["cue"].found) == (2, 1)
    content = found.spans["content"]
    assert (content.gold, content.found, content.precision) == (3, 2, 1.0)
    elsewhere = [replace(SENTENCES[0], document="y"), *SENTENCES]
    assert score_documents({"polnear/x": polnear()}, elsewhere).unread == 1


def test_the_protocol_reads_a_networks_spans(featurizer: Featurizer) -> None:
    """A network that knows the targets gets what gold spans get, also across segments."""
    document = polnear()
    item = featurize_document(document, featurizer)
    network = gold_network(item)
    found = cofenet_scores(network, featurizer, DecodingConfig(), [document], SENTENCES)
    assert found == score_documents({"polnear/x": document}, SENTENCES)
    one = [TokenSentence("x", tuple(t for s in SENTENCES for t in s.tokens), ("O",) * 14)]
    joined = cofenet_scores(network, featurizer, DecodingConfig(), [document], one)
    assert joined.spans["content"].found == 1  # continued in the next segment: one span

    def silent(window: WindowFeatures) -> tuple[Floats, Floats]:
        axes, spans = network(window)
        return axes, np.full_like(spans, -9.0) + 18.0 * (np.arange(len(SPAN_LOGITS)) == 0)

    nothing = cofenet_scores(silent, featurizer, DecodingConfig(), [document], SENTENCES)
    assert [(m.gold > 0, m.found) for m in nothing.spans.values()] == [(True, 0)] * 3
