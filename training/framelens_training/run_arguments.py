"""The arguments that every command takes which trains from a config."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the config, its overrides and `--no-tracking`."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file, as in configs/")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="override a setting, such as training.epochs=2",
    )
    parser.add_argument("--no-tracking", action="store_true", help="do not record in MLflow")
