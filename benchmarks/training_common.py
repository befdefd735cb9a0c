"""What the benchmarks of training runs share: running the command, reading what it recorded."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that all of these benchmarks have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "quickstart.yaml")
    parser.add_argument("--set", dest="overrides", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary one")
    return parser


def command(config: Path, folder: Path, overrides: list[str], *, processes: int = 1) -> list[str]:
    """The command line of a run that keeps everything in a folder."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    settings = [
        f"output={folder / 'runs'}",
        f"tracking.uri=sqlite:///{folder / 'mlflow.db'}",
        *overrides,
    ]
    return [
        sys.executable,
        *(launcher if processes > 1 else []),
        "-m",
        "framelens_training.cli",
        "run",
        str(config),
        "--set",
        *settings,
    ]


def start(line: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command with this checkout's packages, its output going to a file."""
    places = [str(ROOT / "inference"), str(ROOT / "training"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        return subprocess.Popen(line, env=environment, stdout=stream, stderr=stream)


def recorded(folder: Path) -> list[Any]:
    """The MLflow runs that were recorded in a folder."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    found: list[Any] = client.search_runs([e.experiment_id for e in client.search_experiments()])
    return found


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import torch

    return {
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "gpus": torch.cuda.device_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
