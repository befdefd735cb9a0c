"""Labels that a person brings to a finished model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from framelens.artifact import Artifact
from framelens_training.corpora.formats.registry import read_any
from framelens_training.corpora.labelled import LabelledDocument, digest
from framelens_training.corpora.splits import group_of
from framelens_training.data import distinctly_named
from framelens_training.errors import RecalibrationError
from framelens_training.seen_texts import Fingerprints, calibrated_on, fingerprint, refuse_learnt


@dataclass(frozen=True, slots=True)
class Labels:
    """One file or folder of labelled documents; their ids are distinct among all of them."""

    path: Path
    documents: Sequence[LabelledDocument]
    sha256: str

    @property
    def name(self) -> str:
        """What they are called in MLflow, where no corpus is called so."""
        return f"labels {self.path.stem}"


def read_labels(paths: Sequence[Path]) -> list[Labels]:
    """The labelled documents of each path, in any format; those of one id count as one article.

    Raises:
        CorpusError: with every error of a path.
        FileNotFoundError, FormatError: if one cannot be read.
        RecalibrationError: if two paths hold the same labels.
    """
    taken: set[str] = set()
    found: dict[str, Labels] = {}
    for path in paths:
        documents = read_any(path)
        sha256 = digest(documents)
        if sha256 in found:
            raise RecalibrationError(
                f"expected each label once, found those of {found[sha256].path} in {path} as well"
            )
        articles = [replace(d, meta={**d.meta, "group": group_of(d)}) for d in documents]
        found[sha256] = Labels(path, distinctly_named(articles, taken, path.stem), sha256)
    return list(found.values())


def refuse_labels(
    artifact: Artifact,
    labels: Sequence[Labels],
    seen: Fingerprints | None,
    *,
    tuned: bool = False,
) -> None:
    """Make sure that a model is not judged by what it was trained on, as far as that is recorded.

    With `tuned`, nor by what its thresholds, or its calibration, were fitted to.

    Raises:
        LearntTextsError: naming some of the texts.
    """
    training = artifact.manifest.training
    texts = seen or frozenset()
    recorded = training.get("corpora")
    corpora = recorded if isinstance(recorded, list) else []
    sums = {item["sha256"].get("train") for item in corpora}
    if tuned:
        texts |= calibrated_on(training)
        sums |= {item["sha256"].get("validation") for item in corpora}
    whole = [document for item in labels if item.sha256 in sums for document in item.documents]
    documents = [document for item in labels for document in item.documents]
    model = f"{artifact.info.name} {artifact.info.version}"
    refuse_learnt(model, documents, texts | set(map(fingerprint, whole)), "leave them out")
