"""The model that ships keeps the figures that it was shipped with.

Floors stand in floors.json, with the sha256 of the documents that they were measured on. They
follow a new model only on purpose:

    python benchmarks/quality.py CORPORA_ROOT --write-floors tests/quality/floors.json
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from framelens.artifact import BUNDLED, DEFAULT_MODEL
from framelens_training.corpora.registry import ROOT_VARIABLE
from framelens_training.quality import MEASURES, PACKAGED, measure
from framelens_training.quality_bench import Bench, Settings
from framelens_training.quality_floors import ADVICE, Floors

FLOORS = Path(__file__).with_name("floors.json")

pytestmark = pytest.mark.skipif(
    not (BUNDLED / DEFAULT_MODEL).is_dir(),
    reason=f"no model {DEFAULT_MODEL!r} is bundled yet: there is nothing to hold to its figures",
)


@pytest.fixture(scope="module")
def floors() -> Floors:
    return Floors.read(FLOORS)


@pytest.fixture(scope="module")
def bench(floors: Floors) -> Bench:
    root = os.environ.get(ROOT_VARIABLE)
    settings = Settings(segments=floors.segments, baselines=False, samples=0)
    return Bench(DEFAULT_MODEL, Path(root) if root else None, settings)


def hold(bench: Bench, floors: Floors, name: str) -> None:
    assert name in floors.corpora, f"no floors for {name}; measure them with: {ADVICE}"
    expected = floors.corpora[name]
    measured = measure(bench, name)
    changes = expected.changes(measured.scored)
    if changes:
        pytest.fail(
            f"{name}: these are other documents than the floors were measured on, so they say "
            "nothing of the model; the corpus, its reader or the split has changed. Look why, "
            f"then measure anew with: {ADVICE}\n" + "\n".join(changes)
        )
    breaches = expected.breaches(measured.rows)
    assert not breaches, f"{bench.model.name} {bench.model.version} is worse on {name}: {breaches}"


@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_corpus(bench: Bench, floors: Floors, name: str) -> None:
    hold(bench, floors, name)


@pytest.mark.corpora
@pytest.mark.skipif(
    not os.environ.get(ROOT_VARIABLE),
    reason=f"{ROOT_VARIABLE} is not set: no public corpora to measure on",
)
@pytest.mark.parametrize("name", [name for name in MEASURES if name not in PACKAGED])
def test_public_corpus(bench: Bench, floors: Floors, name: str) -> None:
    hold(bench, floors, name)
