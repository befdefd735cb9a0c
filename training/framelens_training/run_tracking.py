"""What a run gives its tracker: what it starts from, and what it has found."""

from __future__ import annotations

from collections.abc import Sequence

from framelens.decoding import DecodingConfig, DocumentLogits, axis_scores
from framelens_training.answers import Answers
from framelens_training.assessment import figures_on_test
from framelens_training.config import Config
from framelens_training.data import LoadedCorpus, listed
from framelens_training.environment import git_revision, machine, package_versions
from framelens_training.errors_table import worst_errors
from framelens_training.figures import learning_curves_figure
from framelens_training.fitting import History
from framelens_training.run_result import RunResult
from framelens_training.settings_text import flatten, to_yaml
from framelens_training.significance import PREDICTIONS
from framelens_training.targets import LabelledFeatures
from framelens_training.tracker import Tracker
from framelens_training.trainer import MEAN_METRIC


def record_inputs(
    config: Config,
    corpora: Sequence[LoadedCorpus],
    tracker: Tracker,
    revision: str | None = None,
) -> None:
    """Record what a run starts from: settings, versions, revision, corpora."""
    tracker.params(flatten(config.to_dict()))
    tracker.text(to_yaml(config), "config.yaml")
    versions = package_versions()
    tracker.text("".join(f"{k}=={v}\n" for k, v in versions.items()), "packages.txt")
    tracker.tags(
        {
            "framelens.git_revision": revision or git_revision(),
            "framelens.config_sha256": config.digest(),
            "framelens.machine": machine(),
            **{f"version.{name}": version for name, version in versions.items()},
        }
    )
    for item in corpora:
        for name, documents in item.splits.items():
            if documents:
                tracker.dataset(item.name, name, listed(documents), item.digests[name])


def record_results(
    config: Config,
    test: Sequence[LabelledFeatures],
    found: Sequence[DocumentLogits],
    decoding: DecodingConfig,
    result: RunResult,
    history: History,
    tracker: Tracker,
) -> None:
    """Record what a run has found: figures, tables, answers, and its model."""
    plain = [item.document for item in test]
    scores = [axis_scores(item, decoding) for item in found]
    tracker.metrics(result.flat() | _of_mean_weights(history))
    figures = {
        **figures_on_test(config.name, plain, found, decoding, result.assessment),
        "learning_curves": learning_curves_figure(history, f"{config.name}: learning curves"),
    }
    for name, figure in figures.items():
        tracker.figure(figure, f"figures/{name}.png")
    tables = {
        "slices/test.json": [item.row() for item in result.assessment.slices],
        "errors/worst.json": worst_errors(plain, found, decoding, config.evaluation.worst_errors),
    }
    for path, rows in tables.items():
        if rows:
            tracker.table(rows, path)
    answers = result.artifact.parent / PREDICTIONS
    Answers.collect(plain, scores, decoding).write(answers)
    tracker.folder(answers.parent, "predictions")
    tracker.model(result.artifact, config.name, config.tracking.registry)


def _of_mean_weights(history: History) -> dict[str, float]:
    """The validation score of the weights that ship, where they are the mean of several."""
    found = [row[MEAN_METRIC] for row in history if MEAN_METRIC in row]
    return {"validation/score_of_mean_weights": float(found[-1])} if found else {}
