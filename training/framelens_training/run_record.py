"""What a run was started with, kept in its folder: a run goes on only as the same run.

RUN_FOLDER/run.json
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError

from framelens_training.config import Config
from framelens_training.environment import (
    UNKNOWN_REVISION,
    git_revision,
    has_ended,
    package_versions,
    this_process,
)
from framelens_training.errors import ResumeError
from framelens_training.output_folders import make_output
from framelens_training.settings_text import flatten
from framelens_training.whole_files import write_whole

if TYPE_CHECKING:
    from framelens_training.data import LoadedCorpus
    from framelens_training.teachers import Teacher

FILE_NAME = "run.json"
FORMAT = 1
_SHOWN = 12
_MATTERS = ("torch", "transformers", "tokenizers", "numpy")
"""Packages whose version may change what a training computes."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run: what decides its result, who works on it, and whether it is done."""

    run_id: str | None
    """The MLflow run, if it is recorded."""
    config: Mapping[str, Any]
    corpora: Mapping[str, str]
    """Digest of each split of each corpus, `polnear/train`; empty until they have been read."""
    code: str
    """Digest of the source code of both packages."""
    versions: Mapping[str, str]
    processes: int
    process: str
    """The process of rank 0, as `this_process` gives it."""
    started: float
    """When the run was begun first, in seconds since 1970."""
    finished: bool = False
    origins: Mapping[str, str] = field(default_factory=dict)
    """Digest of each teacher, and of the weights that the encoder goes on from or that are mixed
    in; empty until they have been read."""
    inherited: Mapping[str, str] = field(default_factory=dict)
    """Licences by corpus, of what the weights that the encoder goes on from or that are mixed in,
    and the teachers, were trained on."""
    inherited_train: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of these corpora, the digests of the documents that were trained on (`Inherited.train`)."""
    revision: str = ""
    """The source's git revision when the run was begun first."""
    folds: int | None = None
    """Of a cross-validation, in how many parts documents are divided."""

    @classmethod
    def of(
        cls, config: Config, run_id: str | None, processes: int, folds: int | None = None
    ) -> Self:
        """The record of a run that this process begins, or would go on with."""
        versions = package_versions()
        return cls(
            run_id=run_id,
            config=config.to_dict(),
            corpora={},
            code=code_digest(),
            versions={name: versions[name] for name in _MATTERS},
            processes=processes,
            process=this_process(),
            started=time.time(),
            revision=git_revision(),
            folds=folds,
        )

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The record in a run's folder.

        Raises:
            ResumeError: if there is none that can be read.
        """
        path = folder / FILE_NAME
        try:
            content = json.loads(path.read_text("utf-8"))
            if content.pop("format") != FORMAT:
                raise ResumeError(f"{path}: expected format {FORMAT}; it is of another version")
            return cls(**content)
        except FileNotFoundError:
            raise ResumeError(
                f"expected the folder of a run, with {FILE_NAME} in it; found none in {folder}"
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ResumeError(f"{path}: expected the record of a run, found {error}") from error

    def write(self, folder: Path) -> None:
        """Write the record, whole or not at all.

        Raises:
            TrainingError: if the folder cannot be made.
            OSError: if the record cannot be written.
        """
        make_output(folder)
        write_whole(folder / FILE_NAME, json.dumps({"format": FORMAT, **asdict(self)}, indent=1))

    def with_corpora(self, corpora: Sequence[LoadedCorpus]) -> Self:
        """The record once the corpora have been read."""
        from framelens_training.data import told_apart

        digests = {
            f"{item.name}/{split}": digest
            for item in told_apart(corpora)
            for split, digest in item.digests.items()
        }
        return replace(self, corpora=digests)

    def with_origins(self, config: Config, teachers: Sequence[Teacher]) -> Self:
        """The record once the teachers and the weights that the run takes over are known."""
        from framelens_training.inheritance import inherited_corpora
        from framelens_training.origins import origins_of

        origins = {f"teacher {teacher.name}": teacher.digest for teacher in teachers}
        origins |= {origin.setting: origin.digest for origin in origins_of(config)}
        inherited = inherited_corpora(config)
        return replace(
            self,
            origins=origins,
            inherited={name: item.licence for name, item in inherited.items()},
            inherited_train={name: sorted(item.train) for name, item in inherited.items()},
        )

    def begin(self, folder: Path, *, is_resumed: bool, allow_code: bool = False) -> Self:
        """Take a run's folder over, which is empty or holds the same run.

        Returns the record as it is now in the folder.

        Raises:
            ResumeError: if it holds another run, or one that still goes on.
            TrainingError: if it cannot be made.
        """
        record = self
        if is_resumed:
            then = self.read(folder)
            then.check(self, folder, allow_code=allow_code)
            record = replace(
                self,
                run_id=then.run_id or self.run_id,
                started=then.started,
                corpora=self.corpora or then.corpora,
                origins=self.origins or then.origins,
                inherited=self.inherited or then.inherited,
                inherited_train=self.inherited_train or then.inherited_train,
                revision=_revision(then, self),
            )
        record.write(folder)
        return record

    def differences(self, now: RunRecord, *, allow_code: bool = False) -> list[str]:
        """What `now` has otherwise, for a person; corpora only once both have been read."""
        found = _changes("", flatten(_as_today(self.config)), flatten(now.config))
        if self.corpora and now.corpora:
            found += _changes("corpus ", self.corpora, now.corpora)
        if self.origins and now.origins:
            found += _changes("weights of ", self.origins, now.origins)
        found += _changes("", {"processes": self.processes}, {"processes": now.processes})
        if self.folds and now.folds:
            found += _changes("", {"folds": self.folds}, {"folds": now.folds})
        if not allow_code:
            found += _changes("version of ", self.versions, now.versions)
            if self.code != now.code:
                found.append("the code of framelens or framelens_training")
        return found

    def is_at_work(self) -> bool:
        """Whether another process of this machine is at the run; one of another counts as gone."""
        here = this_process()
        same_machine = self.process.partition(":")[0] == here.partition(":")[0]
        return self.process != here and same_machine and not has_ended(self.process)

    def check(self, now: RunRecord, folder: Path, *, allow_code: bool = False) -> None:
        """Make sure that going on gives what the run would have given.

        Raises:
            ResumeError: naming everything that differs, or the process that is still at it.
        """
        if self.is_at_work():
            raise ResumeError(
                f"the run in {folder} is still going on, in process {self.process.split(':')[1]}"
            )
        found = self.differences(now, allow_code=allow_code)
        if found:
            shown = "".join(f"\n  {line}" for line in found[:_SHOWN])
            more = f"\n  and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            raise ResumeError(
                f"the run in {folder} cannot be gone on with; since it was begun, there changed"
                f"{shown}{more}\nChange it back, or start a new run without --resume"
                + ("" if allow_code else " (--allow-changed-code goes on with other code)")
            )


@contextlib.contextmanager
def removed_if_refused(
    folder: Path, *, is_new: bool, refusal: type[Exception] = Exception
) -> Iterator[None]:
    """A new run that fails before its training leaves no folder behind, as if it could go on.

    `refusal` is the error by which that is told.
    """
    try:
        yield
    except refusal:
        if is_new:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _revision(then: RunRecord, now: RunRecord) -> str:
    """The revision that a run was begun with; now its own, if none was known of the same code."""
    is_known = then.revision not in ("", UNKNOWN_REVISION)
    return then.revision if is_known or then.code != now.code else now.revision


def finish(folder: Path) -> None:
    """Note that a run is done."""
    replace(RunRecord.read(folder), finished=True).write(folder)


def find_run(config: Config, wanted: str, *, finished: bool = False) -> Path:
    """The folder of the run to go on with: by id or folder, or the config's last unfinished one.

    With `finished`, a run that has finished will do as well.

    Raises:
        ResumeError: if there is none, or the one that is wanted has finished.
    """
    output = Path(config.output).expanduser()
    if not wanted:
        return _last(config, output, finished=finished)
    folder = Path(wanted)
    if not (folder / FILE_NAME).is_file():
        matching = [
            folder for folder, record in _runs(output) if (record.run_id or "").startswith(wanted)
        ]
        if len(matching) != 1:
            raise ResumeError(
                f"--resume {wanted}: expected the folder of a run or the id of one under {output}, "
                f"found {len(matching) or 'none'}; {_unfinished_line(output)}"
            )
        folder = matching[0]
    if not finished and RunRecord.read(folder).finished:
        raise ResumeError(f"the run in {folder} has finished; its model is {folder / 'model'}")
    return folder


def _last(config: Config, output: Path, *, finished: bool) -> Path:
    wanted = config.to_dict()
    same = [
        (record.started, folder)
        for folder, record in _runs(output)
        if (finished or not record.finished)
        and _as_today(record.config) == wanted
        and not record.is_at_work()
    ]
    if not same:
        raise ResumeError(
            f"expected {'a' if finished else 'an unfinished'} run of this config under {output}, "
            f"found none; {_unfinished_line(output)}"
        )
    return max(same)[1]


def _as_today(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of a record, with those that are newer than it at their defaults."""
    try:
        return Config.model_validate(settings).to_dict()
    except ValidationError:  # what is wrong with it stands where it is named
        return settings


def _runs(output: Path) -> list[tuple[Path, RunRecord]]:
    """All runs but those of another version and those whose record is damaged."""
    found: list[tuple[Path, RunRecord]] = []
    for path in sorted(output.glob(f"*/{FILE_NAME}")):
        with contextlib.suppress(ResumeError):
            found.append((path.parent, RunRecord.read(path.parent)))
    return found


def _unfinished_line(output: Path) -> str:
    names = [str(folder) for folder, record in _runs(output) if not record.finished]
    return "unfinished there: " + (", ".join(names) or "none")


def _changes(prefix: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [
        f"{prefix}{name}: {_short(then.get(name))} then, {_short(now.get(name))} now"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else text[:12] + "…"


@cache
def code_digest() -> str:
    """sha256 of the source code of framelens and framelens_training."""
    sha = hashlib.sha256()
    for package in ("framelens", "framelens_training"):
        root = Path(str(resources.files(package)))
        for path in sorted(root.rglob("*.py")):
            sha.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()


def run_folder(config: Config, run_id: str | None) -> Path:
    """The folder of a run's files: without a run id a new one, named by the time."""
    return folder_under(config.output, config.name, run_id)


def folder_under(output: str | Path, name: str, run_id: str | None) -> Path:
    """The folder of a run of that name under the folder of all runs, as `run_folder` tells it."""
    label = run_id[:8] if run_id else time.strftime("%Y%m%d-%H%M%S")
    folder = first = Path(output).expanduser() / f"{name}-{label}"
    number = 1
    while run_id is None and folder.exists():  # of a run that began in the same second
        number += 1
        folder = first.with_name(f"{first.name}-{number}")
    return folder
