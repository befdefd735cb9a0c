"""Which texts a run has learnt from, so that it is never asked about them as if it had not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from framelens_training.corpora.comparisons import repeats_by_nature
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.errors import LearntTextsError, TeacherError
from framelens_training.whole_files import write_whole

FILE_NAME = "trained_on.txt"
"""In a run's folder: a fingerprint a line, and perhaps `OTHER_TEXTS`."""

Fingerprints = frozenset[str]

OTHER_TEXTS = "others"
"""In place of a fingerprint: a model that the run takes over does not say what it learnt from."""


def fingerprint(document: LabelledDocument) -> str:
    """The first 64 bits of a document's text, by sha256, in hexadecimal digits."""
    text = f"{document.headline or ''}\0{document.text}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def write_seen(folder: Path, texts: Iterable[str]) -> None:
    """Note in a run's folder which texts it learns from, whole or not at all."""
    write_whole(folder / FILE_NAME, "".join(f"{text}\n" for text in sorted(texts)))


def read_seen(folder: Path) -> Fingerprints | None:
    """What `write_seen` wrote; None where that is not known."""
    path = folder / FILE_NAME
    return frozenset(path.read_text("utf-8").split()) if path.is_file() else None


def calibrated_on(training: Mapping[str, Any]) -> Fingerprints:
    """The texts to whose labels a model was fitted after its training, as its manifest says."""
    recorded = training.get("recalibrated")
    texts = recorded.get("texts", ()) if isinstance(recorded, Mapping) else ()
    return frozenset(map(str, texts))


def some_of(ids: Sequence[str]) -> str:
    """The first of the ids, for a message; dots tell of more."""
    return ", ".join(ids[:3]) + (", …" if len(ids) > 3 else "")


def refuse_learnt(
    model: str, documents: Sequence[LabelledDocument], texts: Fingerprints, mend: str
) -> None:
    """Make sure that a model is not judged by what it has learnt from: `texts`, as far as known.

    What may stand in several articles (`repeats_by_nature`) does not count.

    Raises:
        LearntTextsError: naming the model and some of the documents, and how to mend it.
    """
    found = [d.id for d in documents if fingerprint(d) in texts and not repeats_by_nature(d)]
    if found:
        raise LearntTextsError(
            f"expected texts that {model} has not learnt from, of which it is surer than of "
            f"others, found {len(found)} of {len(documents)} that it has: {some_of(found)}; {mend}"
        )


def refuse_seen(
    origins: Mapping[str, Fingerprints | None],
    train: Sequence[LabelledDocument],
    held_out: Sequence[LabelledDocument],
) -> None:
    """Make sure that no origin of a run has learnt from what the run is judged on.

    `origins` holds by name what teachers, or the models whose weights the run takes over, were
    trained on. A text that this run trains on itself is none of theirs, nor is one that may stand
    in several articles (`repeats_by_nature`).

    Raises:
        TeacherError: naming each origin that has, and how many documents.
    """
    own = set(map(fingerprint, train))
    held = {fingerprint(d): d.id for d in held_out if not repeats_by_nature(d)}
    problems: list[str] = []
    for name, seen in origins.items():
        leaked = sorted(held[text] for text in held.keys() & (seen or frozenset()) - own)
        if leaked:
            problems.append(f"{name} was trained on {len(leaked)} of them: {some_of(leaked)}")
    if problems:
        raise TeacherError(
            "expected validation and test documents that no teacher, and no model whose weights "
            f"the run takes over, has learnt from, found {'; '.join(problems)}. Train it again "
            "with the splits of this run, or leave it out"
        )
