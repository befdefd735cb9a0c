"""Getting a public corpus: its repository at the pinned commit, only the paths that are read.

A sparse, blobless clone of one commit. Git names every object by the hash of its content, so
that what arrives under the pinned commit is what was pinned; afterwards the working files are
compared with it. What is already there is not transferred again, so that a fetch which was
interrupted goes on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from framelens_training.corpora.base import CorpusInfo
from framelens_training.errors import TrainingError

UPSTREAM = "https://github.com/{}.git"
"""Address of an upstream repository, for `CorpusInfo.upstream`."""


class FetchError(TrainingError):
    """A corpus that cannot be fetched; the message says why and what to do."""


def fetch(info: CorpusInfo, folder: Path, url: str | None = None) -> bool:
    """Put the files of a corpus into a folder; false if they were all there already.

    `url` is another address of the same repository: a mirror, or a bare repository on disk.

    Raises:
        FetchError: if git is missing, the repository cannot be reached, it does not have the
            commit, or the folder holds something else.
    """
    address = url or UPSTREAM.format(info.upstream)
    own = (folder / ".git").is_dir()
    if not own and folder.exists() and any(folder.iterdir()):
        if all((folder / path).exists() for path in info.paths):
            return False
        raise FetchError(
            f"{info.name}: expected an empty or a new folder, or an earlier fetch, at {folder}; "
            "found other files; move them away, or put the missing files there by hand: "
            + ", ".join(path for path in info.paths if not (folder / path).exists())
        )
    if own and _is_complete(info, folder):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    steps = (
        ("init", "--quiet"),
        # A changed line end would move every offset.
        ("config", "core.autocrlf", "false"),
        ("config", "remote.origin.url", address),
        ("config", "remote.origin.promisor", "true"),
        ("config", "remote.origin.partialclonefilter", "blob:none"),
        ("sparse-checkout", "set", "--no-cone", *(f"/{path}" for path in info.paths)),
        ("fetch", "--quiet", "--depth=1", "--filter=blob:none", "--no-tags", "origin", info.commit),
        ("checkout", "--quiet", "--force", "--detach", info.commit),
    )
    for step in steps:
        _git(info, folder, address, *step)
    if not _is_complete(info, folder):
        raise FetchError(
            f"{info.name}: expected {', '.join(info.paths)} of commit {info.commit} in {folder}, "
            "found some missing or changed; delete the folder and fetch again"
        )
    return True


def _is_complete(info: CorpusInfo, folder: Path) -> bool:
    """Whether every path is there as the pinned commit has it."""
    if not all((folder / path).exists() for path in info.paths):
        return False
    head = _run(folder, "rev-parse", "HEAD")
    changed = _run(folder, "status", "--porcelain", "--untracked-files=no")
    return (
        head.returncode == changed.returncode == 0
        and head.stdout.strip() == info.commit
        and not changed.stdout.strip()
    )


def _git(info: CorpusInfo, folder: Path, address: str, *arguments: str) -> None:
    done = _run(folder, *arguments)
    if done.returncode == 0:
        return
    said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
    raise FetchError(
        f"{info.name}: expected to fetch commit {info.commit} from {address}; git "
        f"{arguments[0]} said: {said}. Check the network and the address, and run the command "
        f"again: it goes on where it stopped. Or get {', '.join(info.paths)} from that commit by "
        f"other means and put them into {folder}"
    )


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    git = shutil.which("git")
    if git is None:
        raise FetchError("expected git, 2.27 or later, on the path, found none; install it")
    # No question for a password: a repository that has moved would hang the command.
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    return subprocess.run(  # noqa: S603 - arguments are ours or the corpus's card
        [git, "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
