"""Settings as text: a configuration as flat parameters and as YAML, those of decoding as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from framelens.decoding import DecodingConfig
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


def decoding_json(decoding: DecodingConfig) -> str:
    """Thresholds, calibration and transitions as they stand in a manifest."""
    return json.dumps(decoding.to_dict(), indent=2) + "\n"
