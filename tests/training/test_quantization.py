from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from framelens.features import Featurizer
from framelens.network import Network
from framelens_training.config import LOSS_PARTS
from framelens_training.export import export_onnx
from framelens_training.model import LossConfig, SegmentSpanModel
from framelens_training.quantization import quantize

pytestmark = pytest.mark.training


def make_model(spread: float) -> SegmentSpanModel:
    """A small BERT; `spread` blows up a few channels, as trained encoders do."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=2000,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=64,
    )
    encoder = BertModel(config, add_pooling_layer=False)
    with torch.no_grad():
        for layer in encoder.encoder.layer:
            norm = layer.attention.output.LayerNorm
            assert isinstance(norm, nn.LayerNorm)
            norm.weight[:3] *= spread
    ones = dict.fromkeys(LOSS_PARTS, 1.0)
    return SegmentSpanModel(encoder, 0.0, LossConfig(ones, ones)).eval()


@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_int8_stays_near_fp32_and_is_a_third_of_its_size(
    tmp_path: Path, featurizer: Featurizer, spread: float
) -> None:
    fp32, int8 = tmp_path / "fp32.onnx", tmp_path / "int8.onnx"
    export_onnx(make_model(spread), fp32)
    texts = ["The mayor said a road was closed.", "A shameful plan.", "Sign up to news"] * 4
    windows = list(featurizer.featurize(texts, ["body"] * len(texts)).windows)
    quantize(fp32, int8, windows)
    full, small = Network(fp32), Network(int8)
    for window in windows:
        for a, b in zip(full(window), small(window), strict=True):
            assert np.abs(a - b).max() < 0.05 * np.abs(a).max()
    assert int8.stat().st_size < 0.45 * fp32.stat().st_size


def test_there_is_no_calibration_without_windows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one window"):
        quantize(tmp_path / "a", tmp_path / "b", [])
