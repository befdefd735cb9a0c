"""Which version of a registered model is champion: promotion through gates, and the way back.

The aliases `champion` and `challenger` of a registered model say which version is which. A
promotion scores both on the same pinned test documents; the decision is written as tags on the
challenger's version, and every champion knows which version it replaced.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import framelens
from framelens.artifact import Manifest
from framelens.scorer import Scorer
from framelens_training.config import Config
from framelens_training.corpora.formats import read_any
from framelens_training.corpora.labelled import CorpusError, LabelledDocument, digest
from framelens_training.data import distinctly_named, load_corpora
from framelens_training.errors import RegistryError, TrainingError
from framelens_training.gates import Gates
from framelens_training.judgement import Judgement, PinnedTest, answer, judge, judge_first
from framelens_training.model_registry import CHALLENGER, CHAMPION, seen_by, version_of
from framelens_training.seen_texts import calibrated_on, refuse_learnt

PREVIOUS_TAG = "framelens.champion.previous"
PREFIX = "framelens.promotion."
MAX_TAG = 5000
"""Longest tag of a model version that every MLflow store takes."""
_NOTHING = digest([])


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a challenger."""

    name: str
    challenger: str
    champion: str | None
    test: PinnedTest
    judgement: Judgement
    moved: bool

    @property
    def passed(self) -> bool:
        """Whether the gates let it through."""
        return self.judgement.passed

    def __str__(self) -> str:
        against = f"champion version {self.champion}" if self.champion else "no champion yet"
        lines = [
            f"{self.name}: challenger version {self.challenger}, {against}",
            f"test: {len(self.test.documents)} documents, {self.test.segments} segments, "
            f"sha256 {self.test.digest}",
            "",
            self.judgement.table(),
            "",
        ]
        if not self.passed:
            lines.append(f"refused by {'; '.join(self.judgement.refused_by)}")
        elif self.moved:
            lines.append(f"promoted: {self.name}@{CHAMPION} is now version {self.challenger}")
        else:
            lines.append(f"would be promoted (dry run): {self.name}@{CHAMPION} is unchanged")
        return "\n".join(lines)


def promote(
    client: Any,
    name: str,
    gates: Gates,
    *,
    files: Sequence[Path] = (),
    sha256: str | None = None,
    explanation: str | None = None,
    dry_run: bool = False,
) -> Decision:
    """Compare the challenger of a name with its champion, and move the alias if it passes.

    The test documents are those of `files`, or else the test split of the challenger's run.
    Their digest must be `sha256`, or else what both runs recorded.

    Raises:
        RegistryError: if there is no challenger, or no test on which both can be compared.
        LearntTextsError: if one of the models has learnt from a text of the test.
        ArtifactError: if one of the models cannot be used.
        CorpusError, FileNotFoundError: if the test documents cannot be read.
    """
    challenger = version_of(client, name, CHALLENGER)
    champion = version_of(client, name, CHAMPION)
    if challenger is None:
        raise RegistryError(
            f"expected a version of {name!r} with the alias {CHALLENGER!r}, found none; a run "
            "registers its model as challenger, unless tracking.registry is false, and once "
            "promoted it is challenger no longer"
        )
    if champion is not None and champion.version == challenger.version:
        raise RegistryError(
            f"version {champion.version} of {name!r} is challenger and champion at once; "
            "run framelens-train run to make a new challenger"
        )
    uris = [f"models:/{name}/{item.version}" for item in (challenger, champion) if item is not None]
    ours, *others = [framelens.load(uri) for uri in uris]
    theirs = others[0] if others else None
    manifests = [scorer.artifact.manifest for scorer in (ours, *others)]
    test = pinned_test(manifests, files, sha256)
    for manifest, uri in zip(manifests, uris, strict=True):
        texts = (seen_by(uri) or frozenset()) | calibrated_on(manifest.training)
        model = f"{manifest.name} {manifest.version}"
        refuse_learnt(model, test.documents, texts, "give others with --test")
    judgement = _judge(test, ours, theirs, gates, explanation)
    moved = judgement.passed and not dry_run
    previous = None if champion is None else str(champion.version)
    decision = Decision(name, str(challenger.version), previous, test, judgement, moved)
    if not dry_run:
        _carry_out(client, decision, gates, explanation)
    return decision


def _judge(
    test: PinnedTest,
    ours: Scorer,
    theirs: Scorer | None,
    gates: Gates,
    explanation: str | None,
) -> Judgement:
    answered = answer(ours, test.documents)
    if theirs is None:
        return judge_first(test, answered, ours, gates)
    before = answer(theirs, test.documents)
    manifest = theirs.artifact.manifest
    return judge(test, before, answered, manifest, ours, gates, explanation)


def _carry_out(client: Any, decision: Decision, gates: Gates, explanation: str | None) -> None:
    """Move the alias if it is to be moved, and write down what was decided."""
    name, version = decision.name, decision.challenger
    if decision.moved:
        now = version_of(client, name, CHAMPION)
        if (None if now is None else str(now.version)) != decision.champion:
            raise RegistryError(
                f"the champion of {name!r} was changed while the challenger was judged; "
                "judge it again"
            )
        # Before the alias: a champion that did not know its predecessor could not be rolled back.
        client.set_model_version_tag(name, version, PREVIOUS_TAG, decision.champion or "none")
        client.set_registered_model_alias(name, CHAMPION, version)
        newest = version_of(client, name, CHALLENGER)
        if newest is not None and str(newest.version) == version:  # none has come meanwhile
            client.delete_registered_model_alias(name, CHALLENGER)
    difference = decision.judgement.difference
    tags = {
        "decision": "promoted" if decision.moved else "refused",
        "time": _now(),
        "against": decision.champion or "none",
        "test_sha256": decision.test.digest,
        "difference": "none" if difference is None else str(difference),
        "refused_by": "; ".join(decision.judgement.refused_by) or "none",
        "explanation": explanation or "none",
        "gates_sha256": gates.digest(),
        "table": decision.judgement.table(),
    }
    for key, value in tags.items():
        client.set_model_version_tag(name, version, PREFIX + key, value[:MAX_TAG])


def rollback(client: Any, name: str, reason: str | None = None) -> tuple[str, str]:
    """Make the previous champion champion again; gives the versions before and after.

    Raises:
        RegistryError: if there is no champion, or it replaced none that is still there.
    """
    champion = version_of(client, name, CHAMPION)
    if champion is None:
        raise RegistryError(f"expected a champion of {name!r}, found none; promote one first")
    previous = champion.tags.get(PREVIOUS_TAG, "none")
    known = {str(version.version) for version in client.search_model_versions(f"name = '{name}'")}
    if previous not in known:
        found = "it is the first" if previous == "none" else f"version {previous} was deleted"
        raise RegistryError(
            f"expected a champion of {name!r} before version {champion.version}, found none: "
            f"{found}; set the alias {CHAMPION!r} by hand, or promote another version"
        )
    withdrawn = str(champion.version)
    client.set_registered_model_alias(name, CHAMPION, previous)
    text = f"{_now()}, to version {previous}" + (f": {reason}" if reason else "")
    client.set_model_version_tag(name, withdrawn, "framelens.rollback", text[:MAX_TAG])
    return withdrawn, previous


def pinned_test(
    manifests: Sequence[Manifest], files: Sequence[Path], sha256: str | None
) -> PinnedTest:
    """The documents on which all of the models may be compared; the first is the challenger.

    Raises:
        RegistryError: if they are not the ones that were pinned, or a model was trained on them.
        CorpusError, FileNotFoundError: if they cannot be read.
    """
    parts = _given(files) if files else _of_run(manifests[0])
    documents = [document for _, items in parts for document in items]
    whole = digest(documents)
    if sha256 is not None and whole != sha256.lower():
        raise RegistryError(
            f"expected test documents with sha256 {sha256}, found {whole}; give the documents that "
            "were pinned (texts without an id are called by their file, and ids count), or the sum "
            "of these"
        )
    digests = {digest(items) for _, items in parts}
    for manifest in manifests:
        recorded = _recorded(manifest, "test")
        if sha256 is None and not digests <= recorded:
            raise RegistryError(
                f"expected test documents that the run of {manifest.name} {manifest.version} "
                f"recorded (sha256 {', '.join(sorted(recorded)) or 'none'}), found "
                f"{', '.join(sorted(digests))}; give both models the same test with --test FILE "
                f"--sha256 {whole if files else 'SUM'}"
            )
        seen = digests & (_recorded(manifest, "train") | _recorded(manifest, "validation"))
        if seen:
            raise RegistryError(
                f"expected test documents that no model was trained on, found {', '.join(seen)} in "
                f"the training or validation data of {manifest.name} {manifest.version}; "
                "give others with --test"
            )
    if not any(document.segments for document in documents):
        raise RegistryError("expected labelled segments in the test documents, found none")
    taken: set[str] = set()
    named = [d for corpus, items in parts for d in distinctly_named(items, taken, corpus)]
    return PinnedTest(named, [corpus for corpus, items in parts for _ in items], whole)


Parts = list[tuple[str, list[LabelledDocument]]]


def _given(files: Sequence[Path]) -> Parts:
    return [(path.stem, read_any(path)) for path in files]


def _of_run(manifest: Manifest) -> Parts:
    """The test split of a model's run, read from where its config says."""
    try:
        config = Config.model_validate(manifest.training.get("config"))
    except ValidationError as error:
        raise RegistryError(
            f"the config of {manifest.name} {manifest.version} cannot be read by this version "
            f"({error.error_count()} problems); give the test documents with --test FILE"
        ) from error
    try:
        corpora = load_corpora(config)
    except (TrainingError, CorpusError, OSError) as error:
        raise RegistryError(
            f"the test documents of the run of {manifest.name} {manifest.version} cannot be read "
            f"again; give others with --test FILE, or put this right: {error}"
        ) from error
    return [(item.name, list(item.splits["test"])) for item in corpora if item.splits["test"]]


def _recorded(manifest: Manifest, split: str) -> set[str]:
    """The digests of a run's corpora, as they stand in the manifest."""
    corpora: Sequence[Mapping[str, Any]] = manifest.training.get("corpora", ())
    found = {str(item["sha256"].get(split)) for item in corpora}
    return found - {_NOTHING, "None"}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
