"""A configuration as flat parameters and as YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from framelens_training.config import Config


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as `training.epochs: 4`; lists by their index."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, list):
            value = {str(index): item for index, item in enumerate(value)}
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def to_yaml(config: Config) -> str:
    """The resolved configuration, defaults included, in a form that `load_config` reads."""
    return str(yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True))
