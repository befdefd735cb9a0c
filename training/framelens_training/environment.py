"""What a run depended on: revision, versions, machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess

from framelens import workers

_PACKAGES = (
    "framelens",
    "framelens-training",
    "torch",
    "transformers",
    "tokenizers",
    "datasets",
    "mlflow",
    "scikit-learn",
    "onnx",
    "onnxruntime",
    "numpy",
)


def package_versions() -> dict[str, str]:
    """Versions of the packages that a result depends on."""
    versions: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


UNKNOWN_REVISION = "unknown"


def git_revision() -> str:
    """The commit of the working directory, with `-dirty` when it has changes; else `unknown`."""
    try:
        revision = _git("rev-parse", "HEAD")
        dirty = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN_REVISION
    return revision + ("-dirty" if dirty else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


_CORES = workers.usable_cores()
# Counted before torch is imported: where OMP_PROC_BIND is set, torch's OpenMP binds the main
# thread to one core as it is loaded, and the rest would seem forbidden from then on.


def usable_cores() -> int:
    """Cores that this process may use, as scoring counts them."""
    return _CORES


def launched_count() -> int:
    """How many processes a launcher (`torchrun`, `accelerate launch`) started for one run."""
    return max(1, int(os.environ.get("WORLD_SIZE", "1")))


def launched_rank() -> int:
    """The number of this process among those that a launcher started, from 0."""
    return int(os.environ.get("RANK", "0")) if launched_count() > 1 else 0


def cores_per_process() -> int:
    """Cores for each of the processes that a launcher started on this machine."""
    here = max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1"))) if launched_count() > 1 else 1
    return max(1, usable_cores() // here)


def this_process() -> str:
    """Machine, process and the time it started: process ids are used again."""
    import psutil

    started = psutil.Process().create_time()
    return f"{platform.node()}:{os.getpid()}:{started:.2f}"


def has_ended(process: str) -> bool:
    """Whether a process of this machine has ended; another machine's cannot be told."""
    import psutil

    machine, _, rest = process.partition(":")
    number, _, started = rest.partition(":")
    if machine != platform.node() or not number.isdigit():
        return False
    try:
        found = psutil.Process(int(number))
        return f"{found.create_time():.2f}" != started or found.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def machine() -> str:
    """The processor in words."""
    return f"{platform.machine()}, {usable_cores()} cores"
