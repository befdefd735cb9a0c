"""The model card that ships beside the weights: complete for any run, from what the run knows."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from framelens.artifact import CARD_FILE, Artifact, write_manifest
from framelens.decoding import DecodingConfig
from framelens.schema import AXES, Axis
from framelens_training.assessment import Assessment
from framelens_training.baseline import BASELINES
from framelens_training.config import LOSS_PARTS, Config, LossPart
from framelens_training.corpora.labelled import ANNOTATED
from framelens_training.corpora.registry import CORPORA
from framelens_training.data import LoadedCorpus
from framelens_training.export import Parity
from framelens_training.slices import SliceMetrics

OPEN_LICENCES = frozenset(
    {"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CC BY 4.0"}
)
"""Licences of corpora that leave the use of the weights free."""
OWN = "your own"
"""The licence of labels that somebody brings along, on which they decide themselves."""


def model_card(
    config: Config,
    corpora: Sequence[LoadedCorpus],
    decoding: DecodingConfig,
    parity: Parity,
    assessment: Assessment | None = None,
    *,
    encoder: str,
    learnt: Collection[LossPart] = LOSS_PARTS,
    inherited: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """The card of an artifact, as Markdown; `encoder` says what its weights are, as manifests do.

    `learnt` names what labels, teachers or the weights that it began with could teach it.
    `inherited` holds licences by corpus, of what the run went on from and what its teachers were
    trained on (`inheritance`).

    Without an assessment, which needs the exported model, the sections on test data say that
    they are to come.
    """
    sections = [
        _head(config, encoder),
        _USE,
        _labels(learnt),
        _data(corpora, inherited),
        *(_measured(assessment, decoding) if assessment else [_UNMEASURED]),
        _tuned(decoding, assessment),
        _export(parity),
        _LIMITS,
    ]
    return "\n\n".join(sections) + "\n"


def write_card(folder: Path, card: str) -> None:
    """Put another card into an artifact; its manifest gets the new hash.

    Raises:
        ArtifactError: if the folder holds no sound artifact.
    """
    manifest = Artifact.open(folder).manifest
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
    write_manifest(folder, manifest)


def _head(config: Config, encoder: str) -> str:
    return f"""# {config.name} {config.version}

Reads a news article segment by segment: is it a source that speaks (`attributed`), do the
outlet's own words frame the story (`framed`), is it page furniture (`boilerplate`)? It marks the
words that show it. It judges wording, not truth.

| | |
|---|---|
| language | English |
| encoder | {encoder} |
| window | {config.windows.max_tokens} tokens |
| precision | {config.export.precision} |
| seed | {config.seed} |
| training run, revision, corpora with sha256 | `manifest.json` |"""


_USE = """## Intended use

For people who read many articles with a question: how much of a text is reported from sources and
how much is the outlet's own wording, which sources are heard, where the wording loads. It makes
candidates for reading, shares for comparing large sets of texts, and drafts of annotation that a
person corrects. A segment marked `uncertain` asks for a person.

Not for:

* deciding what is true: a false sentence can be plain, a true one can be framed;
* deciding about people, their jobs, accounts or reach, or moderating what they write;
* ranking outlets by quality or trust, or calling an outlet or an author biased by a handful of
  articles;
* languages other than English, and texts that are not news articles (fiction, chats, scripts);
* advice of any kind without a person who reads the text."""

_MEANINGS: Mapping[Axis, str] = {
    "attributed": "most of the segment reports what a source said, wrote, decided, believed or "
    "would not say, and the text tells who that is",
    "framed": "the outlet's own words evaluate, characterise, insinuate, mock or load; loaded "
    "words inside what a source is quoted as saying do not count",
    "boilerplate": "the line is page furniture and not part of the article",
}

_EVIDENCE = """Evidence spans: `source`, `cue`, `content` (who said it, the words that tell so, and
what was said) and `loaded` (the outlet's words that frame). One label for readers follows from the
axes, in this order: `boilerplate`, `framed`, `sourced`, `plain`. The annotation guide is
`docs/labels.md` of the project."""

_UNMEASURED = """## Figures

Not measured yet: they need the exported model, and are in the training run that `manifest.json`
names."""

_LINES_CAUTION = (
    "`lines` is this project's own, but its writers and readers had seen labelled texts of "
    "CheckThat (CC BY-NC-SA 4.0) and the hyperpartisan titles (no terms stated), and imitate their "
    "annotators: leave it out for a model with nothing of them in it."
)

_LIMITS = """## Limits

* It has learned from annotators' judgements of English-language news in the corpora above. Other
  places, times and subjects have words that load which it has not seen.
* Annotators themselves agree far less on which words carry a framing than on whether a sentence
  is framed: read `loaded` spans as a hint.
* Sarcasm, allusion, what is left out, the choice of pictures and of subjects are beyond it.
* Quotations that are never closed, free indirect speech and speakers named many sentences away are
  hard.
* Scores are calibrated on validation data like the training data, not on yours: look at a sample
  of your own texts before trusting a share.
* Slices with few segments have wide intervals; a figure without an interval here says nothing
  about another sample."""


def _labels(learnt: Collection[LossPart]) -> str:
    rows = [f"| `{axis}` | {_MEANINGS[axis]} |" for axis in AXES]
    lines = ["## Labels", "", "| axis | true when |", "|---|---|", *rows, "", _EVIDENCE]
    unlearnt = [f"`{part}`" for part in LOSS_PARTS if part not in learnt]
    if unlearnt:
        parts = ", ".join(unlearnt)
        lines += ["", f"**It has learnt nothing of {parts}: there it always says no.**"]
    return "\n".join(lines)


def _data(corpora: Sequence[LoadedCorpus], inherited: Mapping[str, str]) -> str:
    rows = [
        f"| {item.name} | {_annotated(item.name)} | {item.licence} | "
        + " | ".join(f"{len(item.splits[name]):,}" for name in ("train", "validation", "test"))
        + " |"
        for item in corpora
    ]
    return "\n".join(
        [
            "## Data and licences",
            "",
            "| corpus | what it supervises | licence as stated | train documents | validation "
            "| test |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            *_through_others(corpora, inherited),
            *_licence_terms({**inherited, **{item.name: item.licence for item in corpora}}),
        ]
    )


def _annotated(name: str) -> str:
    if name not in CORPORA:
        if name.startswith("augmented "):
            return "nothing (changed copies, answered by teachers)"
        return "nothing (text alone)" if name.startswith("unlabelled ") else "what its files say"
    annotated = CORPORA[name].info.annotated
    return ", ".join(what for what in ANNOTATED if what in annotated)


def _through_others(corpora: Sequence[LoadedCorpus], inherited: Mapping[str, str]) -> list[str]:
    own = {item.name for item in corpora}
    others = [f"{name} ({licence})" for name, licence in inherited.items() if name not in own]
    if not others:
        return []
    return [
        "Through the weights that it began with or mixed in, or its teachers, it has learnt from "
        f"these as well: {', '.join(others)}.",
        "",
    ]


def _licence_terms(licences: Mapping[str, str]) -> list[str]:
    limiting = [name for name, terms in licences.items() if terms not in OPEN_LICENCES | {OWN}]
    if not limiting:
        own = OWN in licences.values()
        mind = " Labels of your own bring the terms of their texts." if own else ""
        return [
            f"No corpus limits the use of the weights beyond its notice of copyright.{mind}",
            *_caution(licences),
        ]
    free = [n for n, terms in licences.items() if terms in OPEN_LICENCES and n in CORPORA]
    listed = ", ".join(f"{name} ({licences[name]})" for name in limiting)
    kept = f" ({', '.join(free)})" if free else ""
    return [
        "**The weights are for research and non-commercial use**, because of the terms, or the "
        f"lack of stated terms, of these corpora: {listed}.",
        "",
        f"To train without that limit, keep only corpora with open licences{kept} and labels of "
        "your own under `corpora.use` in the config, an encoder and teachers without it, and run "
        "`framelens-train run` again.",
        *_caution(free),
    ]


def _caution(names: Collection[str]) -> list[str]:
    return ["", _LINES_CAUTION] if "lines" in names else []


def _measured(assessment: Assessment, decoding: DecodingConfig) -> list[str]:
    return [_figures(assessment), _slices(assessment.slices), _fairness(assessment, decoding)]


def _figures(assessment: Assessment) -> str:
    lines = [
        "## Figures",
        "",
        "On the test documents of the run: the exported model, decoded by the package that ships; "
        "95 % bootstrap intervals over articles in square brackets.",
        "",
        "| axis | segments | positive | macro-F1 | precision | recall | average precision "
        "| best baseline | better by |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for axis, item in assessment.metrics.axes.items():
        comparison = assessment.comparison.get(axis)
        best, better = "", ""
        known = math.isfinite(item.macro_f1.value)
        if known and comparison is not None and comparison.baselines:
            name = max(comparison.baselines, key=lambda n: comparison.baselines[n].value)
            best = f"{BASELINES[name]} {comparison.baselines[name].value:.3f}"
            better = comparison.differences[name].signed()
        lines.append(
            f"| `{axis}` | {item.n:,} | {item.positives:,} | {item.macro_f1 if known else ''} | "
            f"{_if_any(item.positives, item.precision)} | {_if_any(item.positives, item.recall)} | "
            f"{_number(item.average_precision)} | "
            f"{best} | {better} |"
        )
    if assessment.metrics.spans:
        lines += ["", "| span | gold | exact F1 | precision | recall | partial F1 |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += [
            f"| `{kind}` | {span.gold:,} | "
            + " | ".join(
                _if_any(span.gold, value)
                for value in (span.f1, span.precision, span.recall, assessment.partial[kind].f1)
            )
            + " |"
            for kind, span in assessment.metrics.spans.items()
        ]
    agreement = assessment.agreement
    if agreement.segments:
        line = (
            f"A sentence alone and in its article, median difference of scores over "
            f"{agreement.segments} segments: `framed` {_number(agreement.framed)}"
        )
        if math.isfinite(agreement.attributed):
            line += (
                f", `attributed` (of those that name their source) {_number(agreement.attributed)}"
            )
        lines += ["", f"{line}."]
    return "\n".join(lines)


def _slices(slices: Sequence[SliceMetrics]) -> str:
    if not slices:
        return "## Slices\n\nNo slice of the test documents is large enough to be reported."
    lines = [
        "## Slices",
        "",
        "Each slice is taken from all test corpora together; leans are compared within a corpus "
        "under Fairness.",
        "",
        "| axis | slice | segments | positive | macro-F1 | false alarms | misses |",
        "|---|---|---|---|---|---|---|",
    ]
    for item in slices:
        value = str(item.macro_f1) if math.isfinite(item.macro_f1.value) else ""
        lines.append(
            f"| `{item.axis}` | {item.kind}: {item.value.replace('|', '/')} | {item.n:,} | "
            f"{item.positives:,} | {value} | {_number(item.false_alarm_rate)} | "
            f"{_number(item.miss_rate)} |"
        )
    return "\n".join(lines)


def _fairness(assessment: Assessment, decoding: DecodingConfig) -> str:
    lines = ["## Fairness", ""]
    if not assessment.false_alarms:
        lines.append(
            "No lean of the test documents has enough neutral sentences to tell whether outlets "
            "of one side are flagged more often."
        )
        return "\n".join(lines)
    corpora = assessment.false_alarms.items()
    lines += [
        f"Neutral sentences (gold: not framed) that are called framed (threshold "
        f"{decoding.thresholds['framed']}), by the lean of the outlet as its corpus states it:",
        "",
        "| corpus | lean | neutral sentences | false alarms |",
        "|---|---|---|---|",
        *(
            f"| {corpus} | {lean} | {alarms.neutral[lean]:,} | {rate} |"
            for corpus, alarms in corpora
            for lean, rate in alarms.rates.items()
        ),
        "",
        "Corpora differ in how easy their neutral sentences are, so that leans are compared within "
        "a corpus only.",
    ]
    gaps = {corpus: alarms.gap for corpus, alarms in corpora if alarms.gap is not None}
    for corpus, gap in gaps.items():
        verdict = "holds" if gap.low <= 0 <= gap.high else "does not hold"
        known = f"the interval {verdict} 0" if math.isfinite(gap.low) else "of too few articles"
        lines += ["", f"Left less right in {corpus}: {gap.signed()}; {known}."]
    if not gaps:
        lines += ["", "None has enough neutral sentences of both sides to compare left and right."]
    return "\n".join(lines)


def _tuned(decoding: DecodingConfig, assessment: Assessment | None) -> str:
    lines = [
        "## Calibration and thresholds",
        "",
        "Tuned on validation documents. A segment is `uncertain` when a score within "
        f"{decoding.uncertain_band} of its threshold could change its label. Expected calibration "
        "error in ten bins of equal mass, on test.",
        "",
        "| axis | threshold | temperature | calibration error | without temperature |",
        "|---|---|---|---|---|",
    ]
    for axis in AXES:
        item = assessment.metrics.axes.get(axis) if assessment else None
        errors = (item.ece, item.ece_uncalibrated) if item else (math.nan, math.nan)
        lines.append(
            f"| `{axis}` | {decoding.thresholds[axis]} | {decoding.temperatures[axis]} | "
            f"{_number(errors[0])} | {_number(errors[1])} |"
        )
    return "\n".join([*lines, *_shifts(decoding)])


def _shifts(decoding: DecodingConfig) -> list[str]:
    """What is added to logits, and the thresholds of spans, as paragraphs."""
    lines: list[str] = []
    for whose, offsets in (
        ("every logit", decoding.offsets),
        ("a headline's logit", decoding.headline_offsets),
    ):
        shown = [f"{value:+g} on `{axis}`" for axis, value in offsets.items() if value]
        if shown:
            lines += ["", f"Added to {whose} after the temperature: {', '.join(shown)}."]
    spans = [f"{value:g} for `{kind}`" for kind, value in decoding.span_thresholds.items()]
    return [*lines, "", f"Least probability of a span: {', '.join(spans)}."]


def decoding_table(decoding: DecodingConfig) -> str:
    """Thresholds, temperatures and offsets, as Markdown."""
    lines = ["| axis | threshold | temperature |", "|---|---|---|"]
    lines += [
        f"| `{axis}` | {decoding.thresholds[axis]} | {decoding.temperatures[axis]} |"
        for axis in AXES
    ]
    return "\n".join([*lines, *_shifts(decoding)])


def _export(parity: Parity) -> str:
    return f"""## Export

Largest difference of a logit, fp32 ONNX from torch: {parity.torch_onnx_max_difference:.1e}.
Share of segments whose label int8 changes against fp32: {parity.int8_changed_labels:.2%} of
{parity.segments:,}; mean difference of a score: {parity.int8_mean_difference:.4f}."""


def _if_any(wanted: int, value: float) -> str:
    """A figure of what was found, which says nothing where there was nothing to find."""
    return _number(value) if wanted else ""


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else ""
