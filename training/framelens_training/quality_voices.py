"""Measures of whose voice is called framed: a source's, or the outlet's own."""

from __future__ import annotations

from functools import partial
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framelens_training.corpora.labelled import LabelledDocument, digest, read_jsonl
from framelens_training.corpora.semeval import SemEval
from framelens_training.evaluation import Statistic, hit_share
from framelens_training.quality_bench import BABE, SEMEVAL, VOICE_PAIRS, Bench, Row
from framelens_training.voices import (
    VOICES,
    framed_flags,
    ratio,
    ratio_with_short,
    share,
    voice_counts,
)

STARTER_PACKAGE = "framelens_training.corpora"


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
                bench.bootstrap(counts, hit_share),
                len(counts),
                len(counts),
                higher_is_better=gold,
            )
        )
    return rows


def _is_framed(gold: bool, document: LabelledDocument) -> bool:
    return document.segments[0].framed is gold
