"""Settings read from a YAML file: strictly, and every problem in one report.

Unknown keys are refused with the nearest known key; a key that stands twice is refused;
values are checked for type and range before anything is loaded.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from framelens_training.config import Config
from framelens_training.errors import ConfigError

Settings = TypeVar("Settings", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """YAML without the traps: a repeated key is an error, 1e-4 is a number."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(
                None,
                None,
                "a list or a mapping as a key; quote a text in braces",
                key_node.start_mark,
            )
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} stands twice", key_node.start_mark
            )
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)$"),
    list("-+.0123456789"),
)


def load_config(path: Path, overrides: Iterable[str] = ()) -> Config:
    """Read a run's YAML file and apply overrides of the form `training.epochs=2`.

    Raises:
        ConfigError: with every problem found.
    """
    return load_settings(Config, path, overrides)


def load_settings(kind: type[Settings], path: Path, overrides: Iterable[str] = ()) -> Settings:
    """Read a YAML file of any kind of settings, as strictly as a run's.

    Raises:
        ConfigError: with every problem found.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        nearby = sorted(str(other) for other in path.parent.glob("*.yaml"))
        hint = f"; the configurations there are {', '.join(nearby)}" if nearby else ""
        raise ConfigError(str(path), [f"no such file{hint}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [f"cannot be read: {error}"]) from error
    tree = _yaml(text, str(path))
    if not isinstance(tree, dict):
        raise ConfigError(str(path), [f"expected a mapping, found {type(tree).__name__}"])
    problems: list[str] = []
    for override in overrides:
        problem = _override(tree, override)
        if problem:
            problems.append(problem)
    try:
        settings = kind.model_validate(tree)
    except ValidationError as error:
        problems.extend(_explain(error, kind))
        raise ConfigError(str(path), problems) from None
    if problems:
        raise ConfigError(str(path), problems)
    return settings


def _yaml(text: str, where: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader: builds no objects
    except (yaml.YAMLError, ValueError) as error:  # a day that no month has is a ValueError
        raise ConfigError(where, [f"not YAML: {' '.join(str(error).split())}"]) from None


def _override(tree: dict[str, Any], override: str) -> str | None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        return f"--set {override}: expected key=value, such as training.epochs=2"
    *parents, last = key.split(".")
    place: Any = tree
    for parent in parents:
        if isinstance(place, list):
            place = dict(enumerate(place)).get(int(parent)) if parent.isdecimal() else None
        else:
            place = place.setdefault(parent, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        return f"--set {override}: {'.'.join(parents)} is not a section"
    try:
        place[last] = _yaml(value, f"--set {override}")
    except ConfigError as error:
        return f"--set {override}: {'; '.join(error.problems)}"
    return None


_DICTIONARY = re.compile(r"a valid dictionary(?: or instance of \w+)?")
"""What YAML calls a mapping."""


def _explain(error: ValidationError, kind: type[BaseModel]) -> list[str]:
    problems: list[str] = []
    faults = error.errors()
    for item in faults:
        place = item["loc"]
        if item["type"] == "too_short" and any(
            other is not item and other["loc"][: len(place)] == place for other in faults
        ):
            continue  # only because an entry that has a fault of its own was not counted
        where = ".".join(str(part) for part in item["loc"]) or "(top level)"
        found = item.get("input")
        if item["type"] == "extra_forbidden":
            problems.append(f"{where}: unknown key; {_hint(item['loc'], kind)}")
        elif item["type"] == "missing":
            problems.append(f"{where}: required, found nothing")
        else:
            message = _DICTIONARY.sub("a mapping", item["msg"].removeprefix("Value error, "))
            message = message.replace("a valid tuple", "a list")
            shown = repr(found) if not isinstance(found, Mapping) else "a mapping"
            problems.append(f"{where}: {message[0].lower()}{message[1:]}; found {shown[:80]}")
    return problems


def _hint(location: Sequence[str | int], kind: type[BaseModel]) -> str:
    """What an unknown key may have been meant for: one much like it, here or in another section,
    or else one a little like it here.
    """
    wanted, here = str(location[-1]), _known_keys(location, kind)
    elsewhere: dict[str, list[str]] = {}
    for path in _paths(kind):
        elsewhere.setdefault(path.rpartition(".")[2], []).append(path)
    if near := difflib.get_close_matches(wanted, here, n=1, cutoff=0.8):
        return f"did you mean {near[0]!r}?"
    if near := difflib.get_close_matches(wanted, elsewhere, n=1, cutoff=0.8):
        return f"did you mean {' or '.join(map(repr, elsewhere[near[0]]))}?"
    if near := difflib.get_close_matches(wanted, here, n=1, cutoff=0.5):
        return f"did you mean {near[0]!r}?"
    return f"known keys: {', '.join(here)}"


def _paths(kind: type[BaseModel]) -> Iterator[str]:
    """All keys of a kind of settings, as `training.epochs`; of a list, those of its first entry."""
    for name, setting in kind.model_fields.items():
        yield name
        entry = f"{name}.0" if get_origin(setting.annotation) is tuple else name
        for section in _models(setting.annotation):
            yield from (f"{entry}.{path}" for path in _paths(section))


def _known_keys(location: Sequence[str | int], kind: type[BaseModel]) -> list[str]:
    model: Any = kind
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        model = next((m for m in _models(annotation)), None)
        if model is None:
            return []
    return sorted(model.model_fields)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]
