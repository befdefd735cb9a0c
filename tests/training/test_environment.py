"""What a run finds out about where it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from framelens_training.environment import usable_cores

TRAINING = Path(__file__).parents[2] / "training"


def counted(code: str, environment: dict[str, str]) -> int:
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(TRAINING), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(found.stdout)


@pytest.mark.skipif(usable_cores() < 2, reason="one core is all there is to count")
def test_bound_threads_do_not_hide_cores() -> None:
    bound = {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores"}
    ours = "import framelens_training, torch; print(framelens_training.usable_cores())"
    plain = "import os, torch; print(len(os.sched_getaffinity(0)))"
    assert counted(ours, bound) == usable_cores()
    if hasattr(os, "sched_getaffinity"):
        assert counted(plain, bound) < usable_cores()  # otherwise there is nothing to guard against


@pytest.mark.skipif(usable_cores() < 2, reason="one core is all there is to count")
def test_a_containers_share_counts() -> None:
    quota = """
import pathlib
read = pathlib.Path.read_text
pathlib.Path.read_text = lambda path, *given, **named: (
    "100000 100000" if path.name == "cpu.max" else read(path, *given, **named)
)
import framelens_training
print(framelens_training.usable_cores())
"""
    assert counted(quota, {}) == 1
