"""The corpora behind what a run goes on from and behind its teachers: their terms come along."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framelens.artifact import Artifact
from framelens_training.corpora.registry import CORPORA
from framelens_training.origins import named_weights
from framelens_training.run_weights import RUN_ID, only_run, run_of_id

if TYPE_CHECKING:
    from framelens_training.config import Config

UNKNOWN = "not known"


def inherited_corpora(config: Config) -> dict[str, str]:
    """Licences by corpus, of all that its weights come from and its teachers were trained on.

    What a model of another tool was trained on is not known, and not listed.
    """
    return _behind_all(config.to_dict())


def _behind_all(settings: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in (*named_weights(settings).values(), *settings.get("teacher", ())):
        found |= _behind(name, Path(settings["output"]))
    return found


def _behind(name: str, output: Path) -> dict[str, str]:
    from framelens_training.encoder import artifact_folder
    from framelens_training.run_record import FILE_NAME, RunRecord

    if RUN_ID.fullmatch(name) and not Path(name).is_dir():
        name = str(run_of_id(name, output) or f"runs:/{name}/model")
    run = only_run(Path(name).expanduser())
    if (run / FILE_NAME).is_file():
        record = RunRecord.read(run)
        return {
            **(record.inherited or _behind_all(record.config)),
            **{use["name"]: _licence(use["name"]) for use in record.config["corpora"]["use"]},
            **_unlabelled(record.config),
        }
    folder = artifact_folder(name) if name else None
    if folder is None:
        return {}
    return corpora_of(Artifact.open(folder).manifest.training)


def corpora_of(training: Mapping[str, Any]) -> dict[str, str]:
    """Licences by corpus, of what a manifest says of a training, and what that inherited."""
    own = {item["name"]: item["licence"] for item in training.get("corpora", ())}
    return {**training.get("inherited", {}), **own}


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
