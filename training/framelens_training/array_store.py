"""Files of arrays in a cache folder, whole or not there, the latest read of them kept."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

SUFFIX = ".npz"


def stored(folder: Path, key: str) -> dict[str, NDArray[Any]] | None:
    """The arrays that are kept under a key; `None` if there are none, or the file is damaged."""
    path = folder / f"{key}{SUFFIX}"
    try:
        os.utime(path)
        with np.load(path) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except FileNotFoundError:  # or another process has just made room
        return None
    except (zipfile.BadZipFile, EOFError, ValueError):  # half a file, an empty one, another one
        return None


def store(folder: Path, key: str, arrays: Arrays, *, kept: int) -> None:
    """Keep arrays under a key, and of all files in the folder the `kept` latest read.

    Several processes may do so at once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, suffix=".partial")
    with os.fdopen(handle, "wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]
    Path(name).replace(folder / f"{key}{SUFFIX}")
    for path in sorted(folder.glob(f"*{SUFFIX}"), key=_last_read, reverse=True)[kept:]:
        path.unlink(missing_ok=True)


def _last_read(path: Path) -> float:
    """Seconds since the epoch; 0 for a file that another process has taken away meanwhile."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
