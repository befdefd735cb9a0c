"""The figures that a shipped artifact is judged by, on documents that it never trained on.

Each measure is one corpus's question. References and targets stand in `quality_table`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from framelens.decoding import DecodingConfig, decode_spans, is_uncertain
from framelens.schema import ATTRIBUTION_TYPES, AXES, SPAN_TYPES, Axis, Field, SpanType
from framelens_training.calibration import tune_axes
from framelens_training.calibration_error import (
    chance_calibration_errors,
    expected_calibration_error,
)
from framelens_training.cofenet_protocol import compare_documents, with_spans
from framelens_training.context_agreement import differences
from framelens_training.corpora.base import Split
from framelens_training.corpora.cofenet import TokenSentence, read_sentences
from framelens_training.corpora.labelled import LabelledDocument, digest, read_jsonl
from framelens_training.corpora.semeval import SemEval
from framelens_training.evaluation import Interval, Statistic, macro_f1, span_f1, weighted_f1
from framelens_training.held_out import half_of
from framelens_training.parties import Parties
from framelens_training.predictions import (
    article_count,
    article_numbers,
    axis_data,
    by_axis,
    gold_spans,
    outside_furniture,
    span_keys,
)
from framelens_training.quality_bench import (
    Bench,
    Read,
    Row,
    article_counts,
    axis_row,
    row_bootstrap,
)
from framelens_training.slices import false_alarms
from framelens_training.span_tuning import tune_spans
from framelens_training.targets import LabelledFeatures, is_article_text, role_of
from framelens_training.typography import Typography
from framelens_training.voices import (
    VOICES,
    framed_flags,
    ratio,
    ratio_with_short,
    share,
    voice_counts,
)

BABE, CHECKTHAT, SEMEVAL = "babe", "checkthat2025", "semeval2023-task3"
POLNEAR, TITLES, PAGES, STARTER = "polnear", "hyperpartisan-titles", "article-extraction", "starter"
JUDGED, LINES, WRITTEN_PAGES = "judged-articles", "lines", "pages"

VOICE_PAIRS = "voices"
STARTER_PACKAGE = "framelens_training.corpora"

_Change = Callable[[LabelledFeatures], LabelledFeatures]

_ECE_SAMPLES = 300
_NEUTRAL_MINIMUM = 20


@dataclass(frozen=True, slots=True)
class Measured:
    """Rows, and the sha256 of the documents that they were measured on, by corpus and split."""

    rows: Sequence[Row]
    scored: Mapping[str, str]


def measure(bench: Bench, name: str) -> Measured:
    """The rows of one of `MEASURES`.

    Raises:
        HeldOutError: if it cannot be told what the artifact was trained on.
        CorpusError: with every problem of the corpus's files.
        FileNotFoundError: naming what is missing and how to get it.
    """
    bench.asked.clear()
    rows = MEASURES[name](bench)
    return Measured(rows, {part: bench.digests[part] for part in sorted(bench.asked)})


def starter(bench: Bench) -> list[Row]:
    """Axes and spans on the starter corpus's test articles."""
    read = bench.read(STARTER, "test")
    rows = [
        axis_row(bench, axis, macro_f1, STARTER, "test", f"starter/{axis}", f"{axis}, macro-F1")
        for axis in AXES
    ]
    by_type = {kind: np.zeros((len(read.items), 3)) for kind in SPAN_TYPES}
    for number, (item, logits) in enumerate(zip(read.items, read.logits, strict=True)):
        decoded = decode_spans(item.features.segments, logits.tokens, bench.decoding)
        answered = outside_furniture(decoded, logits, bench.decoding)
        expected, found = set(gold_spans(item.document)), set(span_keys(answered))
        for kind, counts in by_type.items():
            own = [{key for key in keys if key[1] == kind} for keys in (expected, found)]
            counts[number] = (len(own[0] & own[1]), len(own[1]), len(own[0]))
    rows += [
        Row(
            f"starter/{kind}",
            f"{kind}, exact-match F1",
            "starter test",
            bench.bootstrap(counts, span_f1),
            int(counts[:, 2].sum()),
            len(counts),
        )
        for kind, counts in by_type.items()
    ]
    return rows


def polnear(bench: Bench) -> list[Row]:
    """Spans by CofeNet's protocol, and a sentence alone against the same in its article."""
    assert bench.root is not None
    read = bench.read(POLNEAR, "validation")
    sentences = read_sentences(bench.root / "polnear/cofenet_valid.jsonl")
    whole, crossed = (
        _cofenet_counts([(read, bench.decoding)], sentences),
        _cofenet_counts(_tuned_on_the_other(bench, read), sentences),
    )
    where = "PolNeAR dev, in their articles"
    rows = [taken_for_furniture(bench, read, "polnear", where, field) for field in get_args(Field)]
    for kind in ATTRIBUTION_TYPES:
        counts = whole[kind]
        rows.append(
            Row(
                f"polnear/{kind}",
                f"{kind}, exact-match F1, CofeNet token protocol",
                "PolNeAR dev",
                bench.bootstrap(counts, span_f1),
                int(counts[:, 2].sum()),
                len(counts),
                also={"decoding tuned on the other half": bench.bootstrap(crossed[kind], span_f1)},
                note="dev is validation: training stopped by it, and transitions and thresholds of "
                "spans were chosen on it",
            )
        )
    return rows + _agreement(bench, read)


def _cofenet_counts(
    parts: Sequence[tuple[Read, DecodingConfig]], sentences: Sequence[TokenSentence]
) -> dict[SpanType, NDArray[np.float64]]:
    """By type, for each article (a, 3): spans that are right, found, expected."""
    answered = [
        with_spans(item, logits.tokens, decoding)
        for part, decoding in parts
        for item, logits in zip(part.items, part.logits, strict=True)
    ]
    return cofenet_counts(answered, sentences)


def cofenet_counts(
    answered: Sequence[LabelledDocument], sentences: Sequence[TokenSentence]
) -> dict[SpanType, NDArray[np.float64]]:
    """By type, for each article (a, 3): spans that are right, found, expected.

    The documents carry a model's spans (`with_spans`).
    """
    compared = compare_documents({document.id: document for document in answered}, sentences)
    documents = [document for document in answered if document.id in compared]
    numbers = article_numbers(documents)
    counts = {
        kind: np.zeros((article_count(documents), 3), dtype=np.float64)
        for kind in ATTRIBUTION_TYPES
    }
    for document, article in zip(documents, numbers, strict=True):
        for kind, rows in counts.items():
            gold, found = (
                {span for span in side if span[1] == kind} for side in compared[document.id]
            )
            rows[article] += (len(gold & found), len(found), len(gold))
    return counts


def _tuned_on_the_other(bench: Bench, read: Read) -> list[tuple[Read, DecodingConfig]]:
    """Each half with the transitions and span thresholds that the other half gives."""
    halves = [read.where(partial(_in_half, half)) for half in (0, 1)]
    tuned = [tune_spans(bench.decoding, half.items, half.logits) for half in halves]
    return [(half, tuned[1 - number]) for number, half in enumerate(halves)]


def _agreement(bench: Bench, read: Read) -> list[Row]:
    found = differences(bench.network, bench.featurizer, read.items, read.logits, bench.decoding)
    articles = article_numbers(read.documents)[found.documents]
    questions: tuple[tuple[Axis, str, NDArray[np.bool_]], ...] = (
        ("framed", "", np.ones(len(articles), dtype=np.bool_)),
        ("attributed", " of sentences that name their source", found.names_source),
    )
    rows: list[Row] = []
    for axis, which, chosen in questions:
        values = found.values[chosen, AXES.index(axis)]
        rows.append(
            Row(
                f"polnear/agreement/{axis}",
                f"alone against in its article: median difference of `{axis}`{which}",
                "PolNeAR dev",
                row_bootstrap(bench, articles[chosen], partial(_median, values)),
                len(values),
                len(set(articles[chosen].tolist())),
                higher_is_better=False,
            )
        )
    return rows


def _median(values: NDArray[np.float64], rows: NDArray[np.int64]) -> float:
    return float(np.median(values[rows])) if len(rows) else float("nan")


def babe(bench: Bench) -> list[Row]:
    """Bias of single sentences, and false alarms on neutral ones by the outlet's lean."""
    row = partial(axis_row, bench, "framed", name=BABE, split="test", also=("validation",))
    note = "the tenth of the articles that training and tuning left out; cross-validation apart"
    read = bench.read(BABE, "test") + bench.read(BABE, "validation")
    rows = [
        row(statistic=weighted_f1, key="babe/weighted_f1", what="bias, weighted F1", note=note),
        row(statistic=macro_f1, key="babe/macro_f1", what="bias, true macro-F1", note=note),
        taken_for_furniture(bench, read, "babe", "babe validation and test", "text"),
    ]
    alarms = false_alarms(
        read.documents,
        read.scores(bench.decoding),
        bench.decoding,
        minimum=_NEUTRAL_MINIMUM,
        samples=max(bench.settings.samples, 1),
        seed=bench.settings.seed,
    )
    if alarms.gap is not None:
        rows.append(
            Row(
                "babe/false_alarm_gap",
                "false alarms on neutral sentences, left less right outlets",
                "babe validation and test",
                alarms.gap,
                alarms.neutral["left"] + alarms.neutral["right"],
                article_count(read.documents),
                higher_is_better=False,
                also={
                    f"rate, {lean} ({alarms.neutral[lean]} neutral)": rate
                    for lean, rate in alarms.rates.items()
                },
            )
        )
    return rows


def checkthat(bench: Bench) -> list[Row]:
    """Subjectivity: the framed answer is SUBJ."""
    row = axis_row(
        bench,
        "framed",
        macro_f1,
        CHECKTHAT,
        "validation",
        "checkthat/macro_f1",
        "subjectivity, macro-F1",
        note="dev is validation: training stopped by it, and thresholds were tuned on it "
        "together with the other corpora's",
    )
    read = bench.read(CHECKTHAT, "validation")
    furniture = taken_for_furniture(bench, read, "checkthat", "checkthat2025 validation", "text")
    if CHECKTHAT not in bench.holdings.validation():
        return [replace(row, note=""), furniture]
    counts = [
        article_counts(part, "framed", decoding)
        for part, decoding in cross_fitted(bench)
        for part in [part.where(lambda d: d.id.startswith(f"{CHECKTHAT}/"))]
    ]
    honest = bench.bootstrap(np.concatenate(counts), macro_f1)
    also = {**row.also, "thresholds tuned on the other half of validation": honest}
    return [replace(row, also=also), furniture]


def semeval(bench: Bench) -> list[Row]:
    """Whose voice: sentences loaded only inside a quotation against the outlet's own."""
    assert bench.root is not None
    read = bench.read(SEMEVAL, "test")
    documents = read.documents
    places = SemEval().loaded_places(bench.root)
    threshold = bench.decoding.thresholds["framed"]
    flags = framed_flags(read.scores(bench.decoding), threshold)
    counts = voice_counts(documents, flags, places)
    theirs: NDArray[np.float64] | None = None
    fitted = bench.tfidf(BABE, "test").get("framed")
    if fitted is not None:
        answers = [
            fitted.score([d.segment_text(s) for s in d.segments]) >= fitted.threshold
            for d in documents
        ]
        theirs = voice_counts(documents, answers, places)
    questions: tuple[tuple[str, str, Statistic, str | None, bool], ...] = (
        ("quoted", "share flagged, loaded only inside a quotation", partial(share, "source"),
         "source", False),
        ("outlet", "share flagged, loaded in the outlet's voice", partial(share, "outlet"),
         "outlet", True),
        ("ratio", "whose voice: the quoted share by the outlet's", ratio, None, False),
        ("short", "share flagged, loaded only inside a short quotation (perhaps scare quotes)",
         partial(share, "short_quotation"), "short_quotation", False),
        ("ratio_with_short", "whose voice, short quotations counted as quoted",
         ratio_with_short, None, False),
        ("neither", "share flagged, not loaded", partial(share, "none"), "none", False),
    )  # fmt: skip
    totals = counts.sum(axis=0)
    sizes = {voice: int(totals[2 * at + 1]) for at, voice in enumerate(VOICES)}
    return [
        Row(
            f"semeval/{key}",
            what,
            f"{SEMEVAL} test",
            bench.bootstrap(counts, statistic),
            sizes[voice] if voice else sizes["source"] + sizes["outlet"],
            len(documents),
            higher_is_better=higher,
            baseline=None if theirs is None else bench.bootstrap(theirs, statistic),
            note="" if theirs is None else "the baseline was trained on BABE",
        )
        for key, what, statistic, voice, higher in questions
    ]


def voices(bench: Bench) -> list[Row]:
    """The same judgement as a source's and as the outlet's own: 32 made pairs."""
    documents = read_jsonl(Path(str(resources.files(STARTER_PACKAGE) / "starter/voices.jsonl")))
    bench.digests[VOICE_PAIRS] = digest(documents)
    bench.asked.add(VOICE_PAIRS)
    read = bench.run(VOICE_PAIRS, documents)
    rows: list[Row] = []
    for voice, what, gold in (
        ("source", "share labelled `framed` of judgements in a source's mouth", False),
        ("outlet", "share labelled `framed` of the same in the outlet's own voice", True),
    ):
        part = read.where(partial(_is_framed, gold))
        counts = np.array([(flags[0], 1) for flags in part.framed(bench.decoding)], np.float64)
        rows.append(
            Row(
                f"voices/{voice}",
                what,
                "made pairs",
                bench.bootstrap(counts, _share),
                len(counts),
                len(counts),
                higher_is_better=gold,
            )
        )
    return rows


def typography(bench: Bench) -> list[Row]:
    """Labels that change with what was lost in copying: full stops, and the kind of marks.

    Of articles that were not trained on; each is read again in its other form.
    """
    read = bench.read(POLNEAR, "validation") + bench.read(SEMEVAL, "test")
    form = Typography(bench.featurizer)
    where = "PolNeAR dev and SemEval test, what is changed in them"
    questions: tuple[tuple[str, str, _Change], ...] = (
        ("last_stop", "without a last sentence’s full stop", form.without_last_stop),
        ("no_stops", "without any sentence’s full stop", form.without_stops),
        ("other_marks", "with quotation marks of the other kind", form.with_other_marks),
    )
    return [
        _changed_labels(bench, read, change, f"typography/{key}", what, where)
        for key, what, change in questions
    ]


def parties(bench: Bench) -> list[Row]:
    """Labels that change where the parties are exchanged, in articles, lone sentences and titles.

    The same words about the other side are framed or are not (counterfactual token fairness,
    Garg et al. 2019).
    """
    exchanged = Parties(bench.featurizer).exchanged
    what = "with the parties of the United States exchanged"
    reads = (
        ("articles", bench.read(POLNEAR, "validation") + bench.read(SEMEVAL, "test"),
         "PolNeAR dev and SemEval test"),
        ("sentences", bench.read(BABE, "validation") + bench.read(BABE, "test"),
         "babe validation and test"),
        ("headlines", bench.read(TITLES, "test"), f"{TITLES} test"),
    )  # fmt: skip
    return [
        _changed_labels(
            bench, read, exchanged, f"parties/{key}", what, f"{where}, what is changed in them"
        )
        for key, read, where in reads
    ]


def _changed_labels(
    bench: Bench, read: Read, change: _Change, key: str, what: str, where: str
) -> Row:
    """The share of other labels among segments that a change of the documents concerns."""
    items = [change(item) for item in read.items]
    after = bench.run_on(key, items)
    counts = np.zeros((article_count(read.documents), 2))
    for article, old, new, labels, others in zip(
        article_numbers(read.documents),
        read.items,
        items,
        read.labels(bench.decoding),
        after.labels(bench.decoding),
        strict=True,
    ):
        for segment, changed, label, other in zip(
            old.features.segments, new.features.segments, labels, others, strict=True
        ):
            if not np.array_equal(segment.ids, changed.ids):
                counts[article] += (label != other, 1)
    counts = counts[counts[:, 1] > 0]
    return Row(
        key,
        f"labels that change {what}, share",
        where,
        bench.bootstrap(counts, _share),
        int(counts[:, 1].sum()),
        len(counts),
        higher_is_better=False,
    )


def _is_framed(gold: bool, document: LabelledDocument) -> bool:
    return document.segments[0].framed is gold


def _share(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hits by all, for counts (..., 2)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[np.float64] = counts[..., 0] / counts[..., 1]
    return found


def taken_for_furniture(bench: Bench, read: Read, key: str, where: str, field: Field) -> Row:
    """Headlines, or other segments that are known to be of an article, over the threshold of page
    furniture.

    A headline's label leaves that score out; another segment's label is `boilerplate`.
    """
    column, threshold = AXES.index("boilerplate"), bench.decoding.thresholds["boilerplate"]
    documents = read.documents
    counts = np.zeros((article_count(documents), 2))
    for document, scores, article in zip(
        documents, read.scores(bench.decoding), article_numbers(documents), strict=True
    ):
        for index, segment in enumerate(document.segments):
            known = segment.boilerplate is False or is_article_text(document, segment)
            if segment.field == field and known:
                counts[article] += (scores[index, column] >= threshold, 1)
    counts = counts[counts[:, 1] > 0]
    headlines = field == "headline"
    which = "headlines" if headlines else "segments of articles"
    return Row(
        f"{key}/{'headline_furniture' if headlines else 'furniture'}",
        f"{which} with a score of page furniture over its threshold, share",
        where,
        bench.bootstrap(counts, _share),
        int(counts[:, 1].sum()),
        len(counts),
        higher_is_better=False,
    )


def titles(bench: Bench) -> list[Row]:
    """Headlines: framed or not, on the rows that three annotators agree on."""
    return [
        taken_for_furniture(
            bench, bench.read(TITLES, "test"), "titles", f"{TITLES} test", "headline"
        ),
        axis_row(
            bench,
            "framed",
            macro_f1,
            TITLES,
            "test",
            "titles/macro_f1",
            "headlines framed or not, macro-F1, unanimous rows",
            keep=lambda document: document.meta.get("unanimous") == "yes",
            also=("validation",),
        ),
    ]


def lines(bench: Bench) -> list[Row]:
    """Packaged headlines and sentences, by readers who judged as annotators would."""
    kinds = (("headlines", TITLES), ("sentences", CHECKTHAT))
    return [
        axis_row(
            bench,
            "framed",
            macro_f1,
            LINES,
            "test",
            f"lines/{kind}",
            f"packaged {kind} framed or not, macro-F1",
            keep=partial(_is_judged_as, name),
            note=f"by readers who judged as the annotators of {name} would",
        )
        for kind, name in kinds
    ]


def _is_judged_as(name: str, document: LabelledDocument) -> bool:
    return document.meta["as"] == name


def articles(bench: Bench) -> list[Row]:
    """Whole articles by this project's guide: where the outlet's words frame, and who speaks."""
    parts: tuple[tuple[Split, str], ...] = (("validation", "PolNeAR dev"), ("test", "SemEval test"))
    axes: tuple[Axis, ...] = ("framed", "attributed")
    return [_judged_row(bench, axis, split, where) for axis in axes for split, where in parts]


def _judged_row(bench: Bench, axis: Axis, split: Split, where: str) -> Row:
    row = axis_row(
        bench,
        axis,
        macro_f1,
        JUDGED,
        split,
        f"articles/{axis}/{split}",
        f"{axis} in whole articles, macro-F1, {where}",
        note="judged twice; what the readings disagree on is left out",
    )
    read = bench.read(JUDGED, split)
    counts = article_counts(read, axis, bench.decoding)
    also = {
        f"right of those called {axis}": bench.bootstrap(counts, _precision),
        "found of those that are": bench.bootstrap(counts, _recall),
        "uncertain where readers agree": _uncertain_share(bench, read, axis, doubtful=False),
        "uncertain where they are in doubt": _uncertain_share(bench, read, axis, doubtful=True),
    }
    return replace(row, also={**row.also, **also})


def _precision(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right of those that are found, for outcome counts (..., 4) as `macro_f1` takes them."""
    return _share(np.stack([counts[..., 0], counts[..., 0] + counts[..., 1]], axis=-1))


def _recall(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Found of those that are there, for outcome counts (..., 4)."""
    return _share(np.stack([counts[..., 0], counts[..., 0] + counts[..., 2]], axis=-1))


def _uncertain_share(bench: Bench, read: Read, axis: Axis, *, doubtful: bool) -> Interval:
    """The share with an uncertain label, of the segments whose axis is in doubt or is not."""
    counts = np.zeros((article_count(read.documents), 2))
    for document, scores, article in zip(
        read.documents, read.scores(bench.decoding), article_numbers(read.documents), strict=True
    ):
        for segment, row in zip(document.segments, scores, strict=True):
            if (segment.counted(axis) is None) is doubtful:
                told = is_uncertain(by_axis(row), bench.decoding, role_of(segment))
                counts[article] += (told, 1)
    return bench.bootstrap(counts[counts[:, 1] > 0], _share)


def pages(bench: Bench) -> list[Row]:
    """Page furniture by line, on pages of hosts that were not trained on."""
    return _furniture_by_line(bench, PAGES, "pages", "page furniture, macro-F1 by line")


def written_pages(bench: Bench) -> list[Row]:
    """Page furniture by line, on the pages that were written for the project."""
    title = "packaged pages, page furniture, macro-F1 by line"
    return _furniture_by_line(bench, WRITTEN_PAGES, "written_pages", title)


def _furniture_by_line(bench: Bench, name: str, key: str, title: str) -> list[Row]:
    also = ("validation",)
    found = axis_row(
        bench, "boilerplate", macro_f1, name, "test", f"{key}/macro_f1", title, also=also
    )
    return [found]


def calibration(bench: Bench) -> list[Row]:
    """Calibration error, each half of validation with temperatures from the other half."""
    parts = cross_fitted(bench)
    rows: list[Row] = []
    for axis in AXES:
        found = [axis_data(part.documents, part.scores(decoding), axis) for part, decoding in parts]
        gold = np.concatenate([data.gold for data in found])
        scores = np.concatenate([data.values for data in found])
        if not len(gold):
            continue
        # No article is in both halves.
        first = article_count(parts[0][0].documents)
        groups = np.concatenate([data.groups + first * n for n, data in enumerate(found)])
        numbers = np.unique(groups, return_inverse=True)[1]
        chance = chance_calibration_errors(scores)
        rows.append(
            Row(
                f"calibration/{axis}",
                f"expected calibration error of `{axis}`",
                "validation of every corpus of the training, two halves by article",
                row_bootstrap(
                    bench,
                    numbers,
                    partial(_calibration_error, gold, scores),
                    _ECE_SAMPLES,
                ),
                len(gold),
                int(numbers.max()) + 1,
                higher_is_better=False,
                also={
                    f"half {number}": Interval(error, error, error)
                    for number, data in enumerate(found)
                    for error in [expected_calibration_error(data.gold, data.values)]
                }
                | {
                    "by chance, were they perfectly calibrated": Interval(
                        float(chance.mean()), *np.quantile(chance, (0.025, 0.975)).tolist()
                    )
                },
                note="temperatures of the other half; resampling biases the interval upwards",
            )
        )
    return rows


def _calibration_error(
    gold: NDArray[np.bool_], scores: NDArray[np.float64], rows: NDArray[np.int64]
) -> float:
    return expected_calibration_error(gold[rows], scores[rows])


def cross_fitted(bench: Bench) -> list[tuple[Read, DecodingConfig]]:
    """The two halves of validation, each with temperatures and thresholds of the other."""
    whole = Read([], [])
    for name in bench.holdings.validation():
        whole += bench.read(name, "validation")
    halves = [whole.where(partial(_in_half, half)) for half in (0, 1)]
    return [(half, _tuned(bench, halves[1 - i])) for i, half in enumerate(halves)]


def _in_half(half: int, document: LabelledDocument) -> bool:
    return half_of(document) == half


def _tuned(bench: Bench, read: Read) -> DecodingConfig:
    threshold_range = bench.evaluation.threshold_range
    return tune_axes(bench.decoding, read.documents, read.logits, threshold_range)


MEASURES: Mapping[str, Callable[[Bench], list[Row]]] = MappingProxyType({
    POLNEAR: polnear,
    BABE: babe,
    CHECKTHAT: checkthat,
    SEMEVAL: semeval,
    TITLES: titles,
    PAGES: pages,
    JUDGED: articles,
    "calibration": calibration,
    "typography": typography,
    "parties": parties,
    VOICE_PAIRS: voices,
    LINES: lines,
    WRITTEN_PAGES: written_pages,
    STARTER: starter,
})  # fmt: skip
"""Every measure by the corpus that it needs; `calibration` needs those of the training,
`typography` PolNeAR and SemEval, and `parties` these, BABE and the titles."""
PACKAGED = (STARTER, VOICE_PAIRS, LINES, WRITTEN_PAGES)
"""The measures that need no public corpus."""
