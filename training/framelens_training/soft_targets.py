"""Teachers' answers for a corpus, kept on disk by teacher and by text.

Answers are kept at the teacher's own words, so that students with other tokenizers, windows and
epochs share them: a teacher reads each text once, in the windows in which serving would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from framelens.features import TokenizedSegment
from framelens.schema import AXES, SPAN_LOGITS
from framelens_training.alignment import WordAnswers, aligned, pooled, preferred_mean
from framelens_training.array_store import Arrays, store, stored
from framelens_training.code_version import code_version
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.progress import Say
from framelens_training.targets import LabelledFeatures, SoftTargets
from framelens_training.teachers import Teacher

_KEPT = 192
"""Files kept in the folder, the latest read."""


def answers_for(
    teacher: Teacher, documents: Sequence[LabelledDocument], digest: str, folder: Path, say: Say
) -> list[list[WordAnswers]]:
    """A teacher's answers for every segment: from the store, otherwise asked for and kept.

    `digest` is the sha256 over the documents (`corpora.labelled.digest`).
    """
    key = _key(teacher, digest)
    arrays = stored(folder, key)
    if arrays is not None:
        return _answers(arrays, documents)
    if documents:
        say(f"Asking the teacher {teacher.name} about {len(documents)} documents")
    found = list(teacher.answer(documents))
    flat = [item for document in found for item in document]
    store(folder, key, _arrays(flat), kept=_KEPT)
    return found


def with_soft_targets(
    items: Sequence[LabelledFeatures],
    answers: Sequence[Sequence[Sequence[WordAnswers]]],
    preferred: Sequence[Collection[int]] | None = None,
) -> list[LabelledFeatures]:
    """Documents with the mean of the teachers' answers beside their labels.

    `answers` holds for each teacher what `answers_for` gave. `preferred` names for each document
    the teachers, by number, of which the mean is taken; the others are heard on what none of
    these answers.
    """
    everyone = range(len(answers))
    return [
        replace(
            item,
            targets=tuple(
                replace(target, soft=_soft(segment, [given[n] for given in several], first))
                for n, (target, segment) in enumerate(
                    zip(item.targets, item.features.segments, strict=True)
                )
            ),
        )
        for item, first, *several in zip(
            items, preferred or [everyone] * len(items), *answers, strict=True
        )
    ]


def _soft(
    segment: TokenizedSegment, several: Sequence[WordAnswers], preferred: Collection[int]
) -> SoftTargets:
    given = pooled(several, preferred)
    heard = preferred if len(given) > 1 else (0,)
    words = np.full((len(segment.ids), len(SPAN_LOGITS)), np.nan, dtype=np.float16)
    words[segment.words] = preferred_mean([aligned(item, segment) for item in given], heard)
    return SoftTargets(preferred_mean([item.axes for item in given], heard), words)


def _key(teacher: Teacher, digest: str) -> str:
    text = f"{code_version(__name__)} {teacher.digest} {digest}"
    return hashlib.sha256(text.encode()).hexdigest()


def _arrays(answers: Sequence[WordAnswers]) -> Arrays:
    empty = np.zeros((0, len(SPAN_LOGITS)), dtype=np.float16)
    return {
        "sizes": np.array([len(item.starts) for item in answers], dtype=np.int32),
        "axes": np.array([item.axes for item in answers], dtype=np.float16).reshape(-1, len(AXES)),
        "starts": np.concatenate([np.zeros(0, np.int32), *(item.starts for item in answers)]),
        "ends": np.concatenate([np.zeros(0, np.int32), *(item.ends for item in answers)]),
        "words": np.concatenate([empty, *(item.words for item in answers)]),
    }


def _answers(arrays: Arrays, documents: Sequence[LabelledDocument]) -> list[list[WordAnswers]]:
    edges = np.cumsum([0, *arrays["sizes"].tolist()]).tolist()
    found: list[list[WordAnswers]] = []
    number = 0
    for document in documents:
        rows: list[WordAnswers] = []
        for _ in document.segments:
            here = slice(edges[number], edges[number + 1])
            rows.append(
                WordAnswers(
                    arrays["axes"][number],
                    arrays["starts"][here],
                    arrays["ends"][here],
                    arrays["words"][here],
                )
            )
            number += 1
        found.append(rows)
    return found
