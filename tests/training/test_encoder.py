from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel

from framelens.features import FeatureConfig
from framelens_training.config import Windows
from framelens_training.encoder import load_architecture, load_encoder, save_architecture
from framelens_training.errors import EncoderError
from framelens_training.parity_texts import PARITY_TEXTS


def test_the_packaged_encoder_needs_no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    encoder = load_encoder("minilm-l6")
    assert (encoder.hidden_size, encoder.cls_token, encoder.sep_token) == (384, "[CLS]", "[SEP]")
    assert encoder.feature_config(Windows()) == FeatureConfig()


def test_the_featurizer_gives_the_tokenizers_own_ids() -> None:
    """Ids and offsets are those of the encoder's tokenizer, on hard texts too."""
    encoder = load_encoder("minilm-l6")
    featurizer = encoder.featurizer(Windows())
    for text in PARITY_TEXTS:
        if "\ud800" in text:
            continue  # the reference refuses a lone surrogate; the featurizer's own test reads it
        expected = encoder.tokenizer.encode(text, add_special_tokens=False)
        (segment,) = featurizer.tokenize([text], ["body"])
        assert segment.ids.tolist() == expected.ids
        assert [tuple(pair) for pair in segment.offsets.tolist()] == expected.offsets


def test_an_encoder_in_a_directory(encoder_folder: Path) -> None:
    assert load_encoder(str(encoder_folder)).hidden_size == 32


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16])
def test_an_encoder_that_is_stored_in_half_precision_is_trained_in_float32(
    encoder_folder: Path, tmp_path: Path, stored: torch.dtype
) -> None:
    shutil.copytree(encoder_folder, tmp_path, dirs_exist_ok=True)
    AutoModel.from_pretrained(encoder_folder).to(stored).save_pretrained(tmp_path)
    encoder = load_encoder(str(tmp_path))
    features = encoder.feature_config(Windows(max_tokens=64, overlap=8))
    save_architecture(encoder, features, [], tmp_path / "run")
    again, *_ = load_architecture(tmp_path / "run")
    for module in (encoder.module, again.module):
        assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}


@pytest.mark.parametrize("kind", ["bert", "distilbert", "modernbert"])
def test_dropout_is_set_by_whatever_name_it_has(
    encoder_folder: Path, tmp_path: Path, kind: str
) -> None:
    sizes = {
        "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16, "dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16,
        "pad_token_id": 0,
    }  # fmt: skip
    AutoModel.from_config(AutoConfig.for_model(kind, **sizes)).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(encoder_folder / name, tmp_path)
    for dropout in (0.0, 0.3):
        parts = load_encoder(str(tmp_path), dropout=dropout).module.modules()
        found = [part.p for part in parts if isinstance(part, torch.nn.Dropout)]
        assert found
        assert set(found) == {dropout}


def test_dropout_that_has_no_known_name_is_refused(
    encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framelens_training.encoder._DROPOUT", ("resid_pdrop",))
    load_encoder(str(encoder_folder))
    with pytest.raises(
        EncoderError, match=r"^training.encoder_dropout: expected 0 .* 'bert', .* found 0.1"
    ):
        load_encoder(str(encoder_folder), dropout=0.1)


def test_windows_have_to_fit_the_encoders_positions(encoder_folder: Path) -> None:
    encoder = load_encoder(str(encoder_folder))
    assert encoder.feature_config(Windows(max_tokens=64, overlap=8)).max_tokens == 64
    with pytest.raises(EncoderError, match=r"windows\.max_tokens: expected at most 64.* found 65"):
        encoder.featurizer(Windows(max_tokens=65, overlap=8))


@pytest.mark.parametrize("name", ["no-such-organisation/no-such-model", "/no/such/directory"])
def test_an_encoder_that_cannot_be_reached(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EncoderError) as caught:
        load_encoder(name)
    message = str(caught.value)
    assert name in message
    assert "config.json, model.safetensors" in message
    assert "minilm-l6" in message


def test_a_directory_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="nor a local"):
        load_encoder(str(tmp_path))
