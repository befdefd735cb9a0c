"""From a file of labels to a configuration that can be run: checks, splits, commented YAML."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from framelens.input_files import check_apart
from framelens.schema import AXES, Axis
from framelens_training.corpora.base import SPLITS, Split
from framelens_training.corpora.formats import parse_any
from framelens_training.corpora.grouping import grouped
from framelens_training.corpora.inputs import FILES, Part
from framelens_training.corpora.labelled import CorpusError, LabelledDocument, answers_of, digest
from framelens_training.corpora.reach import default_featurizer
from framelens_training.corpora.report import Report, check
from framelens_training.corpora.splits import SPLIT_SEED, SplitFile, assign
from framelens_training.errors import SplitError
from framelens_training.predictions import article_count
from framelens_training.scorable import can_be_scored, has_both_answers
from framelens_training.settings_file import load_config

SHARES: Mapping[Split, float] = {"train": 0.7, "validation": 0.15, "test": 0.15}
"""More is held out than of a large corpus: a test of few articles cannot tell models apart."""

_MANY = 5000
"""Segments from which fewer epochs are enough."""
_UNSEEN = "the labels do not give both answers on"


@dataclass(frozen=True, slots=True)
class FirstConfig:
    """What was written, and what a person should know about it."""

    config: Path
    split_file: Path
    report: Report
    splits: Mapping[Split, Sequence[LabelledDocument]]
    unseen: Sequence[Axis] = ()
    """Axes of which the labels have not both answers."""

    def __str__(self) -> str:
        lines = [self.report.to_text().rstrip(), "", _table(self.splits), ""]
        if self.unseen:
            lines.append(f"starter is mixed in: {_UNSEEN} {', '.join(self.unseen)}")
        lines += [
            f"wrote {self.config} and {self.split_file}",
            f"next: framelens-train run {shlex.quote(str(self.config))}",
        ]
        return "\n".join(lines)


def init(labels: Path, config: Path | None = None, *, force: bool = False) -> FirstConfig:
    """Check labelled documents, propose splits, and write a config and a split file.

    The config is `config`, or lies beside the labels under their name. What must not be in two
    splits (a group, a link, texts that are nearly the same) stays together.

    Raises:
        CorpusError: with every error of the labels.
        SplitError: if there are too few documents to hold any out, or to choose a step by.
        InputError: if the labels would be overwritten, with `force` too.
        FileExistsError: if a file would be overwritten without `force`.
        FileNotFoundError, FormatError: if the labels cannot be read.
    """
    if labels.name in ("", ".."):
        labels = labels.resolve()  # a folder as "." or "..", which has a name all the same
    parsed = parse_any(labels)
    documents = parsed.documents()
    target = config or labels.with_name(f"{_name(labels)}.yaml")
    split_path = target.with_suffix(".split.json")
    check_apart([str(labels)], [target, split_path], "--output")
    existing = [str(path) for path in (target, split_path) if path.exists()]
    if existing and not force:
        raise FileExistsError(
            f"expected no file at {' and '.join(existing)}, found one; give another place with "
            "--output, or overwrite with --force"
        )
    together = grouped(documents)
    assignment = assign(together, SHARES)
    split_file = SplitFile(_name(labels), SPLIT_SEED, digest(documents), assignment)
    splits = split_file.apply(documents)
    missing = [name for name in SPLITS if not splits.get(name)]
    if missing:
        raise SplitError(
            f"{labels}: expected enough articles for train, validation and test, found "
            f"{article_count(together)}, and none for {', '.join(missing)}; label more articles "
            "(texts of one group, or nearly the same, stay together and count once)"
        )
    if not can_be_scored(splits["validation"]):
        raise SplitError(
            f"{labels}: expected both answers of an axis (two labels that differ), or labelled "
            "spans, in the texts held out for validation, by which the best step is chosen; found "
            f"one answer only in {len(splits['validation'])}; add texts of another label"
        )
    parts = [
        Part(FILES, name, tuple(i for i in parsed.located
                                if split_file.assignment[i.document.id] == name), path=labels)
        for name in SPLITS
    ]  # fmt: skip
    parts[0] = replace(parts[0], findings=parsed.findings)
    report = check(parts, default_featurizer())
    errors = report.of("error")
    if errors:
        raise CorpusError([finding.problem() for finding in errors])
    unseen = [axis for axis in AXES if not has_both_answers(documents, axis)]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
        new_config, new_split = Path(folder) / target.name, Path(folder) / split_path.name
        pin = split_file.write(new_split)
        text = _yaml(labels, target, split_path, pin, documents, splits, unseen)
        new_config.write_text(text, "utf-8")
        load_config(new_config)  # only what can be run is put in place
        new_split.replace(split_path)
        new_config.replace(target)
    return FirstConfig(target, split_path, report, splits, unseen)


def _name(labels: Path) -> str:
    stem = labels.name.partition(".")[0].casefold()
    return re.sub(r"[^a-z0-9._-]+", "-", stem).strip("-._") or "labels"


def _table(splits: Mapping[Split, Sequence[LabelledDocument]]) -> str:
    lines = [f"{'split':<12}{'articles':>9}{'texts':>7}{'segments':>10}" + "".join(
        f"{axis:>13}" for axis in AXES)]  # fmt: skip
    for name in SPLITS:
        documents = splits[name]
        segments = sum(len(document.segments) for document in documents)
        positives = [sum(answers_of(document, axis).count(True) for document in documents)
                     for axis in AXES]  # fmt: skip
        lines.append(
            f"{name:<12}{article_count(documents):>9}{len(documents):>7}{segments:>10}"
            + "".join(f"{count:>13}" for count in positives)
        )
    return "\n".join(lines)


def _yaml(
    labels: Path,
    config: Path,
    split_path: Path,
    pin: str,
    documents: Sequence[LabelledDocument],
    splits: Mapping[Split, Sequence[LabelledDocument]],
    unseen: Sequence[Axis],
) -> str:
    segments = sum(len(document.segments) for document in documents)
    starter = (
        f"    # {_UNSEEN.capitalize()} {', '.join(unseen)}: this corpus teaches them.\n"
        "    - name: starter\n      evaluate: false\n"
        if unseen
        else "    # A packaged corpus may be mixed in, starter or gazette (11 times as large);\n"
        "    # its own test would not count.\n    # - name: starter\n    #   evaluate: false\n"
    )
    held = ", ".join(f"{len(splits[name])} {name}" for name in SPLITS)
    return f"""\
# A first model from {labels.name}: {len(documents)} texts, {segments} segments.
#   framelens-train run {shlex.quote(config.as_posix())}
#   framelens-train promote {shlex.quote(_name(labels))}
# Every setting that is not here has its default; --set KEY=VALUE overrides one.

# What the model is called in the MLflow registry, and its folders under runs/.
name: "{_name(labels)}"
version: "0.1.0"
seed: 13

# minilm-l6 is packaged. news-en goes on from the model that ships, under the licence of its
# corpora. A larger one is better and slower: a directory of a Hugging Face encoder, or its name
# on the hub.
encoder: minilm-l6

corpora:
  use:
    - name: files
      path: {_quoted(labels)}
      # Which text is in which split ({held}): grouped by article or link, texts that are
      # nearly the same together, labels in like shares. The sum pins it: after an edit of the
      # labels, run framelens-train init again.
      split: {_quoted(split_path)}
      split_sha256: {pin}
{starter}
windows:
  # Share of an article's segments that are seen alone too, so that both settings are learnt.
  single_share: 0.5

training:
  epochs: {4 if segments >= _MANY else 8}
  learning_rate: 1.5e-4
  head_learning_rate: 1.0e-3
  # Tokens in a batch: fewer if memory is short.
  batch_tokens: 1024
  # Stop after so many evaluations on validation without a better score.
  patience: {2 if segments >= _MANY else 3}

evaluation:
  # The TF-IDF baseline: what the model has to beat.
  baseline: true

tracking:
  experiment: "{_name(labels)}"
  # uri: http://localhost:5000   # otherwise MLFLOW_TRACKING_URI, otherwise ./mlflow.db
"""


def _quoted(path: Path) -> str:
    """A path as a YAML string, whatever is in it."""
    return "'" + path.as_posix().replace("'", "''") + "'"
