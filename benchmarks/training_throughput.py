"""Training throughput of framelens against the recipe that people use today; prints JSON.

    python benchmarks/training_throughput.py [--root CORPORA_ROOT] [--documents 16] [--rounds 5]

Both train the same encoder for one epoch on the same documents of PolNeAR's training part (of the
starter corpus without `--root` and FRAMELENS_CORPORA), in one process, turn about:

* framelens: `train_model` with the settings of `--config`, as `framelens-train run` calls it.
  Articles in windows, some segments a second time alone; segment and span heads.
* plain: one sentence a row, `AutoModelForSequenceClassification` with one label (attributed or
  not), `Trainer` and its defaults; rows padded to 128 tokens or to the batch's longest, batches
  of 8 and 16. It learns less: no spans, no context.

Segments a second are the corpus's segments over the seconds of the epoch, so that a segment
which framelens shows twice counts once. Seconds run from the first step's start to the last
step's end, without reading, tokenising, evaluating and saving. A ratio is the median over the
rounds of framelens over plain within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from framelens.features import Featurizer
from framelens_training.config import Config
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.registry import ROOT_VARIABLE
from framelens_training.data import LoadedCorpus, load_corpora
from framelens_training.encoder import load_encoder
from framelens_training.environment import machine, usable_cores
from framelens_training.mixture import CorpusFeatures, training_windows
from framelens_training.model_training import train_model
from framelens_training.packaged_encoders import PACKAGED, packaged_folder
from framelens_training.preparation import TrainingSetup, parts_learnt
from framelens_training.quiet import quiet_libraries
from framelens_training.settings_file import load_config
from framelens_training.targets import LabelledFeatures, featurize_document
from framelens_training.tracker import NullTracker

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 128
PLAIN = {
    f"{padding}, batch {size}": (padding, size)
    for padding in ("padded to 128", "padded to the longest")
    for size in (8, 16)
}
Run = Callable[[Path], float]


class Stopwatch(TrainerCallback):
    """Seconds from the first step's start to the last step's end."""

    def __init__(self) -> None:
        self._start = 0.0
        self.seconds = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Note the start of the first step."""
        if not self._start:
            self._start = _now()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Note the end of what may be the last step."""
        self.seconds = _now() - self._start


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def settings(options: argparse.Namespace) -> Config:
    """The recipe, for one epoch."""
    root = options.root or os.environ.get(ROOT_VARIABLE)
    # The starter corpus comes along: there is no run without test documents.
    names = ["polnear", "starter"] if root else ["starter"]
    use = "[" + ", ".join(f"{{name: {name}}}" for name in names) + "]"
    config = load_config(options.config, [f"corpora.use={use}", *options.overrides])
    corpora = config.corpora.model_copy(update={"root": root})
    training = config.training.model_copy(update={"epochs": 1, "evaluations_per_epoch": 1})
    return config.model_copy(update={"corpora": corpora, "training": training})


def framelens_run(
    config: Config, corpus: LoadedCorpus, features: Sequence[LabelledFeatures]
) -> Run:
    """One epoch of framelens's own training; a document is evaluated and not timed."""

    def run(folder: Path) -> float:
        encoder = load_encoder(config.encoder, dropout=config.training.encoder_dropout)
        featurizer = encoder.featurizer(config.windows)
        watch = Stopwatch()
        split = {"train": list(features), "validation": list(features[:1])}
        learnt = parts_learnt(config, encoder, features)
        setup = TrainingSetup(encoder, featurizer, [corpus], split, learnt)
        train_model(config, setup, folder, NullTracker(), _silent, callbacks=[watch])
        return watch.seconds

    return run


def _silent(line: str) -> None:
    """Nobody reads a benchmark's steps."""


def plain_run(source: str, rows: Sequence[tuple[str, int]], padding: str, size: int) -> Run:
    """One epoch of a sentence classifier with the Trainer's defaults."""
    tokenizer = AutoTokenizer.from_pretrained(source)
    whole = padding == "padded to 128"
    data = []
    for text, label in rows:
        item = tokenizer(
            text,
            truncation=True,
            max_length=LONGEST,
            padding="max_length" if whole else False,
        )
        data.append({**item, "labels": label})

    def run(folder: Path) -> float:
        model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=2)
        arguments = TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=1,
            per_device_train_batch_size=size,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        watch = Stopwatch()
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=data,
            data_collator=DataCollatorWithPadding(tokenizer),
            callbacks=[watch],
        )
        trainer.remove_callback(PrinterCallback)  # it prints where the JSON goes
        trainer.train()
        return watch.seconds

    return run


def source_of(encoder: str) -> str:
    """What transformers loads the same encoder from."""
    return str(packaged_folder(encoder)) if encoder in PACKAGED else encoder


def rows_of(documents: Sequence[LabelledDocument]) -> list[tuple[str, int]]:
    """Text and label of every segment."""
    return [
        (document.segment_text(segment), int(bool(segment.axis("attributed"))))
        for document in documents
        for segment in document.segments
    ]


def measure(config: Config, corpus: LoadedCorpus, rounds: int) -> dict[str, Any]:
    """All recipes, turn about."""
    documents = corpus.splits["train"]
    rows = rows_of(documents)
    featurizer = load_encoder(config.encoder).featurizer(config.windows)
    features = [featurize_document(document, featurizer) for document in documents]
    source = source_of(config.encoder)
    runs = {"framelens": framelens_run(config, corpus, features)}
    runs |= {
        name: plain_run(source, rows, padding, size) for name, (padding, size) in PLAIN.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(rounds):
            for name, run in runs.items():
                seconds[name].append(run(Path(scratch) / f"{number}-{name}"))
    tokens = {"framelens": _window_tokens(config, features, featurizer)}
    tokens |= dict.fromkeys(PLAIN, _row_tokens(source, rows))
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "documents": len(documents),
        "segments": len(rows),
        "rounds": rounds,
        "tokens_an_epoch": tokens,
        "seconds": {name: [round(t, 2) for t in times] for name, times in seconds.items()},
        "segments_per_second": {name: round(len(rows) / t, 2) for name, t in medians.items()},
        "tokens_per_second": {name: round(tokens[name] / t) for name, t in medians.items()},
        "framelens_over_plain_segments_per_second": {
            name: round(
                statistics.median(
                    theirs / ours
                    for ours, theirs in zip(seconds["framelens"], seconds[name], strict=True)
                ),
                2,
            )
            for name in PLAIN
        },
    }


def _window_tokens(
    config: Config, features: Sequence[LabelledFeatures], featurizer: Featurizer
) -> int:
    windows = training_windows([CorpusFeatures(features)], featurizer, config.windows, config.seed)
    return sum(len(window.features.input_ids) for window in windows)


def _row_tokens(source: str, rows: Sequence[tuple[str, int]]) -> int:
    tokenizer = AutoTokenizer.from_pretrained(source)
    return sum(
        len(tokenizer(text, truncation=True, max_length=LONGEST)["input_ids"]) for text, _ in rows
    )


def sample(corpus: LoadedCorpus, documents: int) -> LoadedCorpus:
    """A corpus with so many of its training documents that have segments, and no others."""
    fitting = [document for document in corpus.splits["train"] if document.segments]
    chosen = random.Random(13).sample(fitting, min(documents, len(fitting)))
    return replace(corpus, weight=1.0, splits={"train": chosen, "validation": [], "test": []})


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", help=f"folder of the public corpora; otherwise {ROOT_VARIABLE}")
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "news-en-alone.yaml")
    parser.add_argument("--set", dest="overrides", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--documents", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=usable_cores())
    options = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    torch.set_num_threads(options.threads)
    config = settings(options)
    corpus = load_corpora(config)[0]
    with quiet_libraries():
        measure(config, sample(corpus, 1), 1)  # the first batches of a process are slow
        found = measure(config, sample(corpus, options.documents), options.rounds)
    about = {
        "machine": machine(),
        "threads": options.threads,
        "corpus": corpus.name,
        "encoder": config.encoder,
        "recipe": options.config.name,
        "precision": config.training.precision,
        "batch_tokens": config.training.batch_tokens,
    }
    print(json.dumps(about | found, indent=1))


if __name__ == "__main__":
    main()
