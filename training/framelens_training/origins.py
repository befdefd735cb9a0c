"""The trained models whose weights a run takes over: what it goes on from, and what it mixes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framelens.artifact import MODEL_FILE, sha256
from framelens_training.model_registry import is_uri, seen_by
from framelens_training.run_weights import WEIGHTS, best_checkpoint, checkpoints_of, only_run
from framelens_training.seen_texts import Fingerprints, read_seen

if TYPE_CHECKING:
    from framelens_training.config import Config


@dataclass(frozen=True, slots=True)
class Origin:
    """A run or an artifact, and the setting that names it."""

    setting: str
    name: str
    weights: Path
    """The file of its weights."""
    folder: Path
    """Where its run noted what it learnt from."""

    @property
    def digest(self) -> str:
        """sha256 of its weights."""
        return sha256(self.weights)

    def read_seen(self) -> Fingerprints | None:
        """Fingerprints of the texts that it has learnt from, if that is known.

        Raises:
            RegistryError: if its name is a URI, and the store does not answer.
        """
        if is_uri(self.name):  # what was fetched is the artifact alone
            return seen_by(self.name)
        return read_seen(self.folder)


def named_weights(settings: Mapping[str, Any]) -> dict[str, str]:
    """What the settings of a run call the weights that it starts from or mixes in, by setting."""
    named = {"encoder": settings.get("encoder", "")}
    for setting in ("begin_with", "average_with"):
        mixed_in = settings.get("training", {}).get(setting)
        if mixed_in:
            named[setting] = mixed_in["model"]
    return {setting: name for setting, name in named.items() if name}


def origins_of(config: Config) -> list[Origin]:
    """The runs and artifacts among the weights of a config; a plain encoder is none."""
    from framelens_training.encoder import artifact_folder
    from framelens_training.tracking_store import make_current, tracking_uri

    found: list[Origin] = []
    for setting, name in named_weights(config.to_dict()).items():
        if is_uri(name):
            make_current(tracking_uri(config))
        run = only_run(Path(name).expanduser())
        if checkpoints_of(run):
            found.append(Origin(setting, name, best_checkpoint(run) / WEIGHTS, run))
        elif (artifact := artifact_folder(name)) is not None:
            found.append(Origin(setting, name, artifact / MODEL_FILE, artifact.parent))
    return found
