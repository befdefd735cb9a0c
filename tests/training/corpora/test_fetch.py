"""Fetching a corpus, from a bare repository on disk in the place of the network."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from framelens_training.corpora import fetch as module
from framelens_training.corpora.base import CorpusInfo
from framelens_training.corpora.fetch import FetchError, fetch

WANTED = b"one\r\ntwo\n"


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def upstream(tmp_path: Path) -> tuple[str, CorpusInfo]:
    """A bare repository whose pinned commit is not its newest, and a card for it."""
    source = tmp_path / "source"
    (source / "data/text").mkdir(parents=True)
    (source / "data/text/a.txt").write_bytes(WANTED)
    (source / "data/labels.csv").write_text("id\n")
    (source / "large.bin").write_bytes(b"0" * 100_000)
    _git(source, "init", "--quiet")
    _git(source, "config", "core.autocrlf", "false")
    _git(source, "add", ".")
    _git(source, "commit", "--quiet", "-m", "pinned")
    commit = _git(source, "rev-parse", "HEAD")
    (source / "data/labels.csv").write_text("changed since\n")
    _git(source, "commit", "--quiet", "-a", "-m", "newer")
    bare = tmp_path / "bare.git"
    _git(tmp_path, "clone", "--quiet", "--bare", str(source), str(bare))
    for setting in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        _git(bare, "config", setting, "true")
    info = CorpusInfo(
        name="lines",
        title="Lines",
        licence="MIT",
        annotated=frozenset({"framed"}),
        upstream="example/lines",
        commit=commit,
        paths=("data/text", "data/labels.csv"),
    )
    return f"file://{bare}", info


def test_only_the_paths_of_the_pinned_commit_arrive(
    upstream: tuple[str, CorpusInfo], tmp_path: Path
) -> None:
    url, info = upstream
    folder = tmp_path / "root/lines"
    assert fetch(info, folder, url) is True
    assert (folder / "data/text/a.txt").read_bytes() == WANTED
    assert (folder / "data/labels.csv").read_text() == "id\n"
    assert not (folder / "large.bin").exists()
    blobs = _git(folder, "cat-file", "--batch-all-objects", "--batch-check=%(objectsize)")
    assert max(map(int, blobs.split())) < 100_000
    assert fetch(info, folder, "file:///nowhere") is False


@pytest.mark.parametrize("step", ["config", "checkout"])
def test_an_interrupted_fetch_goes_on(
    step: str,
    upstream: tuple[str, CorpusInfo],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, info = upstream
    folder = tmp_path / "root/lines"
    run = module._run

    def stopped(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        if arguments[0] == step:
            raise KeyboardInterrupt
        return run(where, *arguments)

    monkeypatch.setattr(module, "_run", stopped)
    with pytest.raises(KeyboardInterrupt):
        fetch(info, folder, url)
    monkeypatch.setattr(module, "_run", run)
    assert fetch(info, folder, url) is True
    assert (folder / "data/text/a.txt").read_bytes() == WANTED


def test_a_changed_or_deleted_file_is_put_back(
    upstream: tuple[str, CorpusInfo], tmp_path: Path
) -> None:
    url, info = upstream
    folder = tmp_path / "root/lines"
    fetch(info, folder, url)
    (folder / "data/text/a.txt").write_text("cut off")
    (folder / "data/labels.csv").unlink()
    assert fetch(info, folder, url) is True
    assert (folder / "data/text/a.txt").read_bytes() == WANTED
    assert (folder / "data/labels.csv").exists()


def test_without_a_network_the_error_says_what_to_do(
    upstream: tuple[str, CorpusInfo], tmp_path: Path
) -> None:
    _, info = upstream
    with pytest.raises(FetchError, match="Check the network") as fault:
        fetch(info, tmp_path / "root/lines", f"file://{tmp_path}/gone.git")
    for words in (info.commit, "gone.git", "data/text, data/labels.csv", "goes on"):
        assert words in str(fault.value)


def test_a_commit_that_is_not_there_is_an_error(
    upstream: tuple[str, CorpusInfo], tmp_path: Path
) -> None:
    url, info = upstream
    with pytest.raises(FetchError, match="f" * 40):
        fetch(replace(info, commit="f" * 40), tmp_path / "root/lines", url)


def test_files_that_were_put_there_by_hand_are_left_alone(
    upstream: tuple[str, CorpusInfo], tmp_path: Path
) -> None:
    _, info = upstream
    folder = tmp_path / "lines"
    (folder / "data/text").mkdir(parents=True)
    with pytest.raises(FetchError, match=r"other files.*data/labels\.csv"):
        fetch(info, folder, "file:///nowhere")
    (folder / "data/labels.csv").write_text("mine")
    assert fetch(info, folder, "file:///nowhere") is False
    assert (folder / "data/labels.csv").read_text() == "mine"


def test_without_git_the_error_names_it(
    upstream: tuple[str, CorpusInfo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(FetchError, match="expected git"):
        fetch(upstream[1], tmp_path / "lines", upstream[0])
