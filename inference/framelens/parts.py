"""Work kept in parts: each on disk whole, or not at all, so that a run can be continued.

    _manifest.json   what the run reads, with which model and options
    _journal.jsonl   one line for each part that is complete: its size, hash and counts
    part-00000.jsonl ...
    _SUCCESS         the counts of the whole run, once it is complete

A part is written under a temporary name, synced, renamed, and only then entered in the
journal. A crash at any moment leaves a prefix of the parts, each complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from framelens.artifact import sha256
from framelens.errors import FramelensError
from framelens.input_files import STANDARD_INPUT, check_file
from framelens.run_files import (
    JOURNAL,
    LOCK,
    MANIFEST,
    NAMES,
    SUCCESS,
    TEMPORARY,
    is_part,
)

FORMAT_VERSION = 1

_UNFINISHED = re.compile(rf"(?:{re.escape(MANIFEST)}|{SUCCESS})\.[0-9a-f]{{8}}\.tmp")
"""What a crash leaves of a file that `write_whole` was writing."""


class OutputError(FramelensError):
    """Output that cannot be written, or would overwrite another run's."""


@contextlib.contextmanager
def output_errors(folder: Path, *, resumable: bool) -> Iterator[None]:
    """Turn what the operating system says about writing below `folder` into an `OutputError`."""
    try:
        yield
    except OSError as error:
        then = (
            ", and the parts before it are safe: when this is put right, continue with --resume"
            if resumable
            else "; when this is put right, start again with --overwrite"
        )
        raise OutputError(
            f"{error.filename or folder}: cannot be written: {error.strerror or error}; nothing "
            f"incomplete stands under a final name{then}"
        ) from error


def fingerprints(inputs: Sequence[str]) -> list[dict[str, Any]]:
    """Name, size and sha256 of each input file; of standard input, its name.

    Raises:
        InputError: if an input is a pipe or a device, which cannot be read twice.
    """
    found: list[dict[str, Any]] = []
    for name in inputs:
        if name == STANDARD_INPUT:
            found.append({"name": name})
            continue
        check_file(name)
        with Path(name).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            found.append({"name": name, "bytes": stream.tell(), "sha256": digest})
    return found


class PartStore:
    """The parts of one run in one directory, which it locks."""

    def __init__(
        self,
        folder: Path,
        ending: str,
        manifest: Mapping[str, Any],
        *,
        resume: bool,
        overwrite: bool,
    ) -> None:
        """Begin a run in the directory, or continue the one that is there.

        Raises:
            OutputError: if the directory cannot be written, is in use, holds something else,
                holds a run and neither `resume` nor `overwrite` is set, or the run to be
                resumed had other inputs, another model or other options.
        """
        self.folder = folder
        self.ending = ending
        self.counts: list[dict[str, Any]] = []
        """Counts of each complete part."""
        self._stream: IO[bytes] | None = None
        self._lock: int | None = None
        row = {"format_version": FORMAT_VERSION, **manifest}
        self.resumable = all(item["name"] != STANDARD_INPUT for item in manifest["inputs"])
        """Whether the run can be continued: standard input cannot be read a second time."""
        self._created = False
        with output_errors(folder, resumable=self.resumable):
            made = _made(folder)
            try:
                self._take_lock()
                self._created = made
                self._open(row, resume=resume, overwrite=overwrite)
            except BaseException:
                self.release()
                raise

    def _open(self, row: Mapping[str, Any], *, resume: bool, overwrite: bool) -> None:
        found = None if overwrite else self._manifest()
        if found is None:
            self._clear(overwrite=overwrite)
            write_whole(self.folder / MANIFEST, json.dumps(row, indent=1).encode() + b"\n")
            return
        if not resume:
            go_on = "continue it with --resume, or " if self.resumable else ""
            raise OutputError(
                f"{self.folder}: holds the parts of an earlier run; {go_on}start again with "
                "--overwrite"
            )
        differences = _differences(found, row)
        if differences:
            raise OutputError(
                f"{self.folder}: cannot be resumed, because the run in it was another: "
                + "; ".join(differences)
                + "; give the same inputs, model and options, or start again with --overwrite"
            )
        self._read_journal()

    @property
    def complete(self) -> dict[str, Any] | None:
        """The counts of the whole run, if it had come to its end."""
        try:
            return dict(json.loads((self.folder / SUCCESS).read_bytes()))
        except (FileNotFoundError, ValueError):
            return None

    @property
    def is_whole(self) -> bool:
        """Whether all parts of a complete run are there and unharmed."""
        totals = self.complete or {}
        return bool(sum(counts["documents"] for counts in self.counts) == totals.get("documents"))

    def reopen(self) -> None:
        """Take back that the run is complete, since parts of it are missing."""
        (self.folder / SUCCESS).unlink(missing_ok=True)

    @property
    def paths(self) -> list[Path]:
        """All complete parts, in order."""
        return [self.folder / self._name(number) for number in range(len(self.counts))]

    def begin(self) -> IO[bytes]:
        """Open the next part under its temporary name."""
        self._stream = (self.folder / TEMPORARY).open("wb")
        return self._stream

    def commit(self, counts: Mapping[str, Any]) -> None:
        """Make the part in hand complete: sync, rename, enter in the journal."""
        stream = self._stream
        assert stream is not None
        stream.flush()
        os.fsync(stream.fileno())
        stream.close()
        self._stream = None
        temporary = self.folder / TEMPORARY
        name = self._name(len(self.counts))
        entry = {
            "part": name,
            "bytes": temporary.stat().st_size,
            "sha256": sha256(temporary),
            "counts": dict(counts),
        }
        temporary.replace(self.folder / name)
        _sync_directory(self.folder)
        with (self.folder / JOURNAL).open("ab") as journal:
            journal.write(json.dumps(entry).encode() + b"\n")
            journal.flush()
            os.fsync(journal.fileno())
        if not self.counts:
            _sync_directory(self.folder)  # the journal's name is new
        self.counts.append(dict(counts))

    def succeed(self, totals: Mapping[str, Any]) -> None:
        """Mark the run as complete."""
        write_whole(self.folder / SUCCESS, json.dumps(totals).encode() + b"\n")

    def release(self) -> None:
        """Drop the part in hand and let go of the directory; complete parts stay.

        A directory that this run has made, and put nothing into, goes.
        """
        if self._stream is not None:
            with contextlib.suppress(OSError):  # a full disk may refuse the last buffer
                self._stream.close()
            self._stream = None
            (self.folder / TEMPORARY).unlink(missing_ok=True)
        if self._lock is not None and self.complete is not None:
            (self.folder / LOCK).unlink(missing_ok=True)
        elif self._created and not self.counts:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._created = False
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def remove(self) -> None:
        """Delete the run's files, what marks it as complete last; then the directory, if empty."""
        for path in filter(_is_own, list(self.folder.iterdir())):
            if path.name not in (MANIFEST, SUCCESS):
                path.unlink()
        for name in (MANIFEST, SUCCESS):
            (self.folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # what another program has put there stays
            self.folder.rmdir()

    def _name(self, number: int) -> str:
        return f"part-{number:05}.{self.ending}"

    def _manifest(self) -> dict[str, Any] | None:
        try:
            return dict(json.loads((self.folder / MANIFEST).read_bytes()))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise OutputError(
                f"{self.folder / MANIFEST}: expected JSON: {error}; start again with --overwrite"
            ) from error

    def _clear(self, *, overwrite: bool) -> None:
        """Remove an earlier run's files; refuse a directory that others have filled.

        What else lies in an earlier run's directory, its summary for instance, stays.
        """
        # Another program's directory may have parts and a _SUCCESS as well, but no manifest.
        known = (self.folder / MANIFEST).is_file()
        begun = [LOCK]
        if not known and self.folder.name.endswith(".partial"):
            begun.append(SUCCESS)  # all that is left when `remove` was cut short
        paths = [
            path
            for path in sorted(self.folder.iterdir())
            if path.name not in begun and not _UNFINISHED.fullmatch(path.name)
        ]
        own = [path for path in paths if known and _is_own(path)]
        if paths and not (own and overwrite):
            raise OutputError(
                f"{self.folder}: expected an empty or new directory for the output, found "
                f"{', '.join([path.name for path in paths][:3])}"
            )
        # Whatever is left when this is cut short is a run that can be dropped or continued: its
        # journal goes before its parts, and its manifest last.
        order = {SUCCESS: 0, JOURNAL: 1, MANIFEST: 3}
        for path in sorted(own, key=lambda path: order.get(path.name, 2)):
            path.unlink()

    def _read_journal(self) -> None:
        """Take over the parts that are complete and unharmed; drop everything after them."""
        journal = self.folder / JOURNAL
        lines = journal.read_bytes().split(b"\n") if journal.exists() else []
        sound = 0
        for number, line in enumerate(lines[:-1]):  # what follows the last line end is torn
            try:
                entry = json.loads(line)
            except ValueError:
                break
            path = self.folder / self._name(number)
            if entry["part"] != path.name or not path.is_file():
                break
            if path.stat().st_size != entry["bytes"] or sha256(path) != entry["sha256"]:
                break
            self.counts.append(entry["counts"])
            sound += len(line) + 1
        if journal.exists():
            os.truncate(journal, sound)

    def _take_lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # not on Windows
            return
        self._lock = os.open(self.folder / LOCK, os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = None
            raise OutputError(
                f"{self.folder}: another run is writing here; wait for it or choose another output"
            ) from None


def followed(target: Path) -> Path:
    """What an output's link leads to: a rename would take the link's place.

    What leads into /dev or /proc is left as it is, to be written to and not replaced.
    """
    seen = target
    for _ in range(40):
        if _is_device(seen):
            return seen
        if not seen.is_symlink():
            break
        seen = seen.parent / seen.readlink()
    return target.resolve() if target.is_symlink() else target


def _is_device(target: Path) -> bool:
    """Whether it stands for something open, or a device; shared memory holds files as disks do."""
    parts = target.absolute().parts
    return parts[1:2] in (("dev",), ("proc",)) and parts[1:3] != ("dev", "shm")


def is_stream(path: Path) -> bool:
    """Whether it is a pipe or a device, which has no parts and cannot be replaced."""
    return _is_device(path) or (path.exists() and not path.is_file() and not path.is_dir())


def _made(folder: Path) -> bool:
    """Make a directory, so that it survives a crash; false if it is there."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        if folder.is_dir():
            return False
        raise
    _sync_directory(folder.parent)
    return True


def _is_own(path: Path) -> bool:
    """Whether a file in a run's directory is one that runs write."""
    name = path.name
    is_own = name in NAMES or is_part(name) or _UNFINISHED.fullmatch(name) is not None
    return is_own and path.is_file()


def _differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    problems: list[str] = []
    for key in sorted(found.keys() | expected.keys()):
        was, now = found.get(key), expected.get(key)
        if was == now:
            continue
        if isinstance(was, dict) and isinstance(now, dict):
            problems += [f"{key} {difference}" for difference in _differences(was, now)]
        elif key == "inputs" and isinstance(was, list) and isinstance(now, list):
            changed = [item["name"] for item in now if item not in was]
            gone = [item["name"] for item in was if item not in now]
            names = ", ".join(dict.fromkeys(changed + gone)) or "their order"
            problems.append(f"inputs have changed ({names})")
        else:
            problems.append(f"{key} was {was!r} and is now {now!r}")
    return problems


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file, which takes the place of `path` in one rename once all is written to it.

    Its name is no other file's, and it goes if writing fails.
    """
    temporary = path.with_name(f"{path.name}.{os.urandom(4).hex()}.tmp")
    stream = temporary.open("xb")
    try:
        with stream:
            yield stream
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in one rename, so that it is never there in part, and survives a crash."""
    with replacing(path) as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    _sync_directory(path.parent)


def replace_synced(temporary: Path, target: Path) -> None:
    """Give a synced file its final name, so that the name survives a crash too."""
    temporary.replace(target)
    _sync_directory(target.parent)


def _sync_directory(folder: Path) -> None:
    if os.name == "nt":
        return  # a directory cannot be opened there
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
