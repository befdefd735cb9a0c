"""The corpora behind what a run goes on from and behind its teachers: their terms come along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framelens.artifact import Artifact
from framelens_training.corpora.registry import CORPORA
from framelens_training.origins import named_weights
from framelens_training.run_weights import RUN_ID, only_run, run_of_id

if TYPE_CHECKING:
    from framelens_training.config import Config
    from framelens_training.run_record import RunRecord

UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Inherited:
    """A corpus that came along.

    `train` holds the sha256 over its training documents, of each model that was trained on it;
    `UNKNOWN` where that is not recorded.
    """

    licence: str
    train: frozenset[str]


def inherited_corpora(config: Config) -> dict[str, Inherited]:
    """By name, the corpora that its weights come from and its teachers were trained on.

    What a model of another tool was trained on is not known, and not listed.
    """
    return _behind_all(config.to_dict())


def training_sums(training: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Of the corpora behind a model, its own aside, the sums of `Inherited.train` by name, as its
    manifest records them.
    """
    recorded = training.get("inherited_train", {})
    return {
        name: frozenset(recorded.get(name, (UNKNOWN,))) for name in training.get("inherited", {})
    }


def _behind_all(settings: Mapping[str, Any]) -> dict[str, Inherited]:
    names = (*named_weights(settings).values(), *settings.get("teacher", ()))
    return _joined_corpora(*(_behind(name, Path(settings["output"])) for name in names))


def _joined_corpora(*several: Mapping[str, Inherited]) -> dict[str, Inherited]:
    """All of them; a later licence stands, and the sums are those of all."""
    found: dict[str, Inherited] = {}
    for corpora in several:
        for name, item in corpora.items():
            before = found[name].train if name in found else frozenset()
            found[name] = Inherited(item.licence, before | item.train)
    return found


def _behind(name: str, output: Path) -> dict[str, Inherited]:
    from framelens_training.encoder import artifact_folder
    from framelens_training.run_record import FILE_NAME, RunRecord

    if RUN_ID.fullmatch(name) and not Path(name).is_dir():
        name = str(run_of_id(name, output) or f"runs:/{name}/model")
    run = only_run(Path(name).expanduser())
    if (run / FILE_NAME).is_file():
        return _behind_run(RunRecord.read(run))
    folder = artifact_folder(name) if name else None
    if folder is None:
        return {}
    return _behind_artifact(Artifact.open(folder).manifest.training)


def _behind_run(record: RunRecord) -> dict[str, Inherited]:
    licences = {use["name"]: _licence(use["name"]) for use in record.config["corpora"]["use"]}
    licences |= _unlabelled(record.config)
    own = {
        name: Inherited(licence, frozenset({record.corpora.get(f"{name}/train", UNKNOWN)}))
        for name, licence in licences.items()
    }
    before = {
        name: Inherited(licence, frozenset(record.inherited_train.get(name, (UNKNOWN,))))
        for name, licence in record.inherited.items()
    }
    return _joined_corpora(before or _behind_all(record.config), own)


def _behind_artifact(training: Mapping[str, Any]) -> dict[str, Inherited]:
    sums, licences = training_sums(training), training.get("inherited", {})
    own = {
        item["name"]: Inherited(
            item["licence"], frozenset({item.get("sha256", {}).get("train", UNKNOWN)})
        )
        for item in training.get("corpora", ())
    }
    return _joined_corpora({name: Inherited(licences[name], sums[name]) for name in sums}, own)


def _unlabelled(settings: Mapping[str, Any]) -> dict[str, str]:
    names = settings.get("distillation", {}).get("unlabelled", ())
    return {
        f"unlabelled {name if name in CORPORA else Path(name).name}": _licence(
            name if name in CORPORA else "files"
        )
        for name in names
    }


def _licence(name: str) -> str:
    if name == "files":
        return "your own"
    return CORPORA[name].info.licence if name in CORPORA else UNKNOWN
