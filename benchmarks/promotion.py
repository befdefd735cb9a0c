"""Promotion between trained models, by the commands a user types; prints JSON.

    python benchmarks/promotion.py [--config configs/quickstart.yaml] [--stores sqlite server]
                                   [--set training.precision=bf16]

Five trainings a store: in an sqlite database, and on an `mlflow server` on loopback. The corpus is
the starter corpus; what differs is what a model is trained and tuned with:

* champion: a third of the articles, two epochs. The first of its name.
* worse: everything, and no step that teaches anything. To be refused.
* regressed: everything, but the headlines' `framed` labels are inverted, as a bad batch of labels
  might be. Better on the whole, worse on the slice of headlines: to be refused.
* better: everything. To be promoted.
* tie: the same again. To be refused.

Golden inputs may change between such models, so every promotion explains them; nothing else is
eased: the gates are the default ones. Exit code 1 if a decision is not the expected one.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import training_common as common
from framelens_training.corpora.base import Split
from framelens_training.corpora.labelled import LabelledDocument, write_jsonl
from framelens_training.corpora.registry import corpus
from framelens_training.corpora.splits import split
from framelens_training.environment import machine

EXPLANATION = "trained on other data"
UNTRAINED = ("training.epochs=1", "training.learning_rate=1e-9", "training.head_learning_rate=1e-9")
REFUSED = 5
STORES = ("sqlite", "server")
SHARES: dict[Split, float] = {"train": 0.5, "validation": 0.1, "test": 0.4}
"""The corpus's own test has fewer articles than the gates want to see."""
SEED = 13
TUNED_WITH: tuple[Split, ...] = ("train", "validation")


@dataclass(frozen=True, slots=True)
class Step:
    """A model to be trained and submitted; `rule` is what the table has to say."""

    name: str
    data: str
    overrides: Sequence[str]
    code: int
    rule: str


STEPS = (
    Step("champion", "third", ("training.epochs=2",), 0, r"promoted: "),
    Step("worse", "whole", UNTRAINED, REFUSED, r"NO +overall +score .*\n.*: worse"),
    Step(
        "regressed",
        "inverted",
        (),
        REFUSED,
        r"ok +overall +score .*\n.*: better[\s\S]*NO +slice +framed, role headline",
    ),
    Step("better", "whole", (), 0, r"ok +overall +score .*\n.*: better[\s\S]*promoted: "),
    Step("tie", "whole", (), REFUSED, r"NO +overall +score .*\n.*: a tie"),
)


def inverted(document: LabelledDocument) -> LabelledDocument:
    """A document whose headline has the opposite `framed` label."""
    segments = [
        replace(s, framed=not s.framed) if s.field == "headline" and s.framed is not None else s
        for s in document.segments
    ]
    return replace(document, segments=tuple(segments))


def write_data(folder: Path) -> None:
    """The starter corpus divided anew: whole, a third of what is trained on, labels inverted."""
    whole = [item for part in corpus("starter").read(None).values() for item in part]
    splits = split(whole, SHARES, SEED)
    write_jsonl(splits["test"], folder / "test.jsonl")
    for name in TUNED_WITH:
        documents = splits[name]
        write_jsonl(documents, folder / f"whole-{name}.jsonl")
        write_jsonl([inverted(d) for d in documents], folder / f"inverted-{name}.jsonl")
        kept = documents[::3] if name == "train" else documents
        write_jsonl(kept, folder / f"third-{name}.jsonl")


@contextmanager
def store(kind: str, folder: Path) -> Iterator[dict[str, str]]:
    """The environment of commands that record in a store."""
    own = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    paths = [
        str(common.ROOT / "inference"),
        str(common.ROOT / "training"),
        own.get("PYTHONPATH", ""),
    ]
    own["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    if kind == "sqlite":
        yield own
        return
    sys.path.append(str(common.ROOT / "tests"))
    server = importlib.import_module("mlflow_server").Server(folder / "server")
    server.start()
    try:
        yield {**own, "MLFLOW_TRACKING_URI": server.uri}
    finally:
        server.stop()


def command(
    arguments: Sequence[str], folder: Path, environment: dict[str, str]
) -> tuple[int, str, float]:
    """Run `framelens-train`: exit code, what it printed, seconds."""
    line = [sys.executable, "-m", "framelens_training.cli", *arguments]
    started = time.perf_counter()
    done = subprocess.run(
        line, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, round(time.perf_counter() - started, 1)


def submit(
    step: Step,
    config: Path,
    overrides: Sequence[str],
    data: Path,
    folder: Path,
    environment: dict[str, str],
) -> Any:
    """Train a model, which registers it as challenger, and ask for its promotion."""
    files: dict[str, str] = {name: str(data / f"{step.data}-{name}.jsonl") for name in TUNED_WITH}
    files["test"] = str(data / "test.jsonl")
    corpora = json.dumps([{"name": "files", "files": files}])
    run = ["run", str(config), "--set", "name=promotion", f"corpora.use={corpora}"]
    code, shown, seconds = command([*run, *overrides, *step.overrides], folder, environment)
    if code:
        sys.exit(f"framelens-train run ended with {code}:\n{shown}")
    asked = ["promote", "promotion", "--explain", EXPLANATION]
    code, shown, _ = command(asked, folder, environment)
    found = re.search(r"difference (.*)", shown)
    score = re.search(r"overall +score +(\S+) +(\S+)", shown)
    return {
        "model": step.name,
        "expected": "refused" if step.code else "promoted",
        "exit_code": code,
        "as_expected": code == step.code and re.search(step.rule, shown) is not None,
        "scores": None if score is None else f"{score[1]} -> {score[2]}",
        "difference": None if found is None else found[1],
        "decision": shown.strip().split("\n")[-1],
        "seconds_of_run": seconds,
        "table": shown.split("\n"),
    }


def main() -> None:
    """Run everything and print JSON."""
    parser = common.arguments(__doc__.partition("\n")[0])
    parser.add_argument("--stores", nargs="+", default=["sqlite", "server"], choices=STORES)
    parser.add_argument("--tables", action="store_true", help="print the gates' tables too")
    options = parser.parse_args()
    found: dict[str, Any] = {"machine": machine(), "config": options.config.name}
    expected = True
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        data = Path(name)
        write_data(data)
        for kind in options.stores:
            folder = data / kind
            folder.mkdir()
            with store(kind, folder) as environment:
                steps = [
                    submit(
                        step,
                        options.config.resolve(),
                        options.overrides,
                        data,
                        folder,
                        environment,
                    )
                    for step in STEPS
                ]
            expected = expected and all(step["as_expected"] for step in steps)
            for step in steps:
                if not options.tables and step["as_expected"]:
                    del step["table"]
            found[kind] = steps
    print(json.dumps(found, indent=1, ensure_ascii=False))
    sys.exit(0 if expected else 1)


if __name__ == "__main__":
    main()
