"""Run notebooks from a clean kernel; as a script, save them with their outputs.

python tests/execute_notebooks.py notebooks/*.ipynb
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

LONGEST_WAIT = 900
"""Seconds after which what hangs has to end.

nbclient itself waits 60 for a kernel to start, and leaves out what a cell shows after 4 more.
"""


def execute(path: Path, environment: Mapping[str, str] | None = None) -> NotebookNode:
    """The notebook with the outputs of a run in its own folder, in a kernel of its own.

    The commands of this interpreter's environment are found first; a user's IPython profile
    is not read.

    Raises:
        CellExecutionError: if a cell raises.
    """
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    commands = str(Path(sys.executable).parent)
    with tempfile.TemporaryDirectory() as profile:
        NotebookClient(
            notebook,
            timeout=LONGEST_WAIT,
            startup_timeout=LONGEST_WAIT,
            iopub_timeout=LONGEST_WAIT,
            raise_on_iopub_timeout=True,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(path.parent)}},
        ).execute(
            env={
                **os.environ,
                "PATH": os.pathsep.join((commands, os.environ.get("PATH", ""))),
                "IPYTHONDIR": profile,
                # tqdm would like widgets, which are not needed.
                "PYTHONWARNINGS": "ignore:IProgress not found",
                **(environment or {}),
            }
        )
    # The version of Python that ran it changes nothing that a reader sees.
    notebook.metadata = NotebookNode(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    return notebook


def main() -> int:
    """Execute and save the notebooks that are named."""
    for path in map(Path, sys.argv[1:]):
        nbformat.write(execute(path), path)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
