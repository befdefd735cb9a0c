from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from framelens_training import code_version as module
from framelens_training.code_version import code_version

FEATURES = "framelens_training.feature_store"
ANSWERS = "framelens_training.soft_targets"
CORPORA = "framelens_training.corpora.store"


@pytest.fixture(autouse=True)
def _no_version_is_remembered() -> Iterator[None]:
    code_version.cache_clear()
    yield
    code_version.cache_clear()


def version_changes(
    changed: str, store: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> bool:
    """Whether a store's version is another one when a module is changed."""
    before = code_version(store)
    files = module._module_files()
    copy = folder / "changed.py"
    copy.write_bytes(files[changed].read_bytes() + b"\n")
    monkeypatch.setattr(module, "_module_files", lambda: {**files, changed: copy})
    code_version.cache_clear()
    return code_version(store) != before


@pytest.mark.parametrize(
    ("store", "changed"),
    [
        (FEATURES, "framelens.schema"),
        (FEATURES, "framelens_training.alignment"),
        (FEATURES, "framelens_training.corpora.labelled"),
        (ANSWERS, "framelens.network"),
        (ANSWERS, "framelens.tag_chain"),
        (ANSWERS, "framelens_training.huggingface_teacher"),
        (ANSWERS, "framelens_training.model"),
        (ANSWERS, "framelens_training.tracking_store"),  # imported in a function
        (CORPORA, "framelens.downloads"),  # imported as a module
        (CORPORA, "framelens_training.corpora.markup"),
    ],
)
def test_a_change_in_what_a_module_imports_is_another_version(
    store: str, changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert version_changes(changed, store, tmp_path, monkeypatch)


@pytest.mark.parametrize("store", [FEATURES, ANSWERS, CORPORA])
def test_a_change_elsewhere_is_the_same_version(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not version_changes("framelens.cli", store, tmp_path, monkeypatch)
