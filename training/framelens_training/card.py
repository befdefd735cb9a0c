"""The model card that ships beside the weights."""

from __future__ import annotations

from collections.abc import Sequence

from framelens.decoding import DecodingConfig
from framelens.schema import AXES
from framelens_training.config import Config
from framelens_training.data import LoadedCorpus
from framelens_training.export import Parity


def model_card(
    config: Config, corpora: Sequence[LoadedCorpus], decoding: DecodingConfig, parity: Parity
) -> str:
    """A card with what is known at export: use, data, licences, thresholds, parity."""
    data = "\n".join(
        f"| {item.name} | {item.licence} | "
        + " | ".join(str(len(item.splits[name])) for name in ("train", "validation", "test"))
        + " |"
        for item in corpora
    )
    thresholds = "\n".join(
        f"| {axis} | {decoding.thresholds[axis]} | {decoding.temperatures[axis]} |" for axis in AXES
    )
    return f"""# {config.name} {config.version}

Reads a news article segment by segment: is it a source that speaks (`attributed`), do the
outlet's own words frame the story (`framed`), is it page furniture (`boilerplate`)?

It judges wording, not truth. It is not made for deciding about people, for moderating
authors, or for ranking outlets by quality. Language: English.

* Encoder: {config.encoder}
* Precision: {config.export.precision}
* Seed: {config.seed}

## Data

| corpus | licence | train documents | validation | test |
|---|---|---|---|---|
{data}

The weights inherit the most restrictive of these licences.

## Thresholds and temperatures, tuned on validation

| axis | threshold | temperature |
|---|---|---|
{thresholds}

## Export

Largest logit difference of fp32 ONNX from torch: {parity.torch_onnx_max_difference:.1e}.
Share of segments whose label int8 changes: {parity.int8_changed_labels:.2%} of
{parity.segments}.

The figures on test data are in the training run named in `manifest.json`.
"""
