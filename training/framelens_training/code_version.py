"""The version of the code that a cached result comes from.

A cache key with it in needs no invalidation by hand.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from importlib import resources
from pathlib import Path

_PACKAGES = ("framelens", "framelens_training")


@cache
def code_version(*modules: str) -> str:
    """sha256 over modules and over what they import of this project, directly or through others."""
    files = _module_files()
    found: set[str] = set()
    new = set(modules)
    while new:
        found |= new
        names = {name for module in new for name in _imports(files[module])}
        imported = {name if name in files else name.rpartition(".")[0] for name in names}
        new = (imported & files.keys()) - found
    sha = hashlib.sha256()
    for module in sorted(found):
        sha.update(f"{module}\0".encode())
        sha.update(files[module].read_bytes())
    return sha.hexdigest()


def _module_files() -> dict[str, Path]:
    """Where each module of this project is."""
    files: dict[str, Path] = {}
    for package in _PACKAGES:
        folder = Path(str(resources.files(package)))
        for path in folder.rglob("*.py"):
            parts = (package, *path.relative_to(folder).with_suffix("").parts)
            files[".".join(parts).removesuffix(".__init__")] = path
    return files


@cache
def _imports(path: Path) -> frozenset[str]:
    """Dotted names that a file imports, in functions too: modules, and what is taken from them."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)
