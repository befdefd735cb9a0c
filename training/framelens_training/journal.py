"""What a tracking store did not take, kept in a file until it can be sent.

    {"journal": 1, "run_id": "...", "uri": "..."}
    {"call": "metrics", "values": {"train/loss": 0.4}, "step": 20, "time": 1700000000000}

One JSON object a line, in the order in which the calls were made. Files that a call refers to
lie beside the journal, in a folder of their own; they are named from the journal's folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framelens_training.errors import TrackingError
from framelens_training.whole_files import write_whole

FORMAT = 1
FILE_NAME = "tracking.jsonl"


@dataclass(frozen=True, slots=True)
class Call:
    """One thing to be recorded: what kind, and its JSON arguments."""

    kind: str
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        about = self.arguments.get("path") or self.arguments.get("name") or ""
        return f"{self.kind} {about}".strip()


@dataclass(slots=True)
class Journal:
    """The journal of one run; its file exists only while something is kept in it.

    `run_id` is None as long as not even the run itself could be made in the store.
    """

    path: Path
    uri: str | None
    run_id: str | None

    @classmethod
    def open(cls, path: Path) -> Journal:
        """The journal of an existing file.

        Raises:
            TrackingError: if it is not a journal.
            FileNotFoundError: if there is no such file.
        """
        if not path.is_file():
            raise FileNotFoundError(
                f"expected the {FILE_NAME} of a run's folder, which is there only while MLflow "
                f"lacks something of the run; found no file at {path}"
            )
        header = _parse(path, 1, path.read_text("utf-8", "replace").partition("\n")[0])
        if header.get("journal") != FORMAT:
            raise TrackingError(
                f"{path}:1: expected a tracking journal of format {FORMAT}, found "
                f"{header.get('journal')!r}; give the {FILE_NAME} of a run's folder"
            )
        return cls(path, header.get("uri"), header.get("run_id"))

    @property
    def files(self) -> Path:
        """The folder of the files that are waiting."""
        return self.path.with_suffix(".files")

    def calls(self) -> list[Call]:
        """What is waiting, oldest first; a last line that a crash cut off is left out."""
        if not self.path.exists():
            return []
        lines = self.path.read_text("utf-8").split("\n")
        # Every whole line ends in a line break, so the last piece is empty or a torn line.
        rows = [_parse(self.path, n, line) for n, line in enumerate(lines[:-1], 1) if n > 1]
        return [Call(row.pop("call"), row) for row in rows]

    def append(self, call: Call) -> None:
        """Keep one more."""
        if not self.path.exists():
            self.replace([call])
            return
        with self.path.open("r+b") as stream:
            stream.seek(-1, os.SEEK_END)
            if stream.read() != b"\n":
                # Over a last line that a crash cut off, so that it does not swallow this one.
                stream.seek(0)
                stream.seek(stream.read().rfind(b"\n") + 1)
                stream.truncate()
            stream.write(_line(call).encode())

    def replace(self, calls: Sequence[Call]) -> None:
        """Keep these and nothing else; without any, the file goes."""
        if not calls:
            self.path.unlink(missing_ok=True)
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        header = {"journal": FORMAT, "run_id": self.run_id, "uri": self.uri}
        write_whole(self.path, json.dumps(header) + "\n" + "".join(map(_line, calls)))

    def clear(self) -> None:
        """Take the journal and its folder of files away, and the run's folder if it is empty."""
        self.replace([])
        shutil.rmtree(self.files, ignore_errors=True)
        with contextlib.suppress(OSError):  # mostly it holds the run's files
            self.path.parent.rmdir()

    def keep_file(self, path: str) -> Path:
        """A place beside the journal for a file that is to be sent as `path`."""
        target = self.files / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


def _line(call: Call) -> str:
    return json.dumps({"call": call.kind, **call.arguments}) + "\n"


def _parse(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise TrackingError(f"{path}:{number}: expected JSON, found {error}") from error
    if not isinstance(row, dict) or (number > 1 and not isinstance(row.get("call"), str)):
        raise TrackingError(f"{path}:{number}: expected a call of a tracking journal")
    return row
