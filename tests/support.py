"""Small things that many tests need, built in code: no download, no torch."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from framelens.artifact import CARD_FILE, MODEL_FILE, TOKENIZER_FILE, Manifest, write_manifest
from framelens.decoding import DecodingConfig, DocumentLogits
from framelens.features import FeatureConfig, WindowFeatures
from framelens.schema import AXES, SPAN_LOGITS

if TYPE_CHECKING:
    from framelens.decoding import Floats
    from framelens_training.corpora.labelled import LabelledDocument
    from framelens_training.predictions import NetworkLike
    from framelens_training.targets import LabelledFeatures

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = (
    *[
        "the",
        "a",
        "mayor",
        "minister",
        "said",
        "ranted",
        "shameful",
        "plan",
        "road",
        "closed",
        "she",
        "he",
        "yet",
        "another",
        "sign",
        "up",
        "news",
        "and",
        "to",
        "of",
        "in",
        "on",
        "was",
        "is",
        "that",
        "report",
    ],
    *"abcdefghijklmnopqrstuvwxyz0123456789.,:;!?\"'“”‘’«»()-",
    *("##" + c for c in "abcdefghijklmnopqrstuvwxyz0123456789"),
)
VOCABULARY = {token: number for number, token in enumerate((*SPECIAL, *dict.fromkeys(WORDS)))}

# What each word is evidence for, in a network that looks words up and nothing else.
EVIDENCE: Mapping[str, Mapping[str, float]] = {
    "said": {"attributed": 40.0, "B-cue": 9.0},
    "mayor": {"B-source": 9.0},
    "minister": {"B-source": 9.0},
    "ranted": {"attributed": 40.0, "framed": 60.0, "B-cue": 9.0, "loaded": 9.0},
    "shameful": {"framed": 60.0, "loaded": 9.0},
    "sign": {"boilerplate": 60.0},
    "road": {"B-content": 9.0},
    "closed": {"I-content": 9.0},
}


def make_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def lookup_graph(evidence_of: Mapping[str, Mapping[str, float]] = EVIDENCE) -> onnx.ModelProto:
    """A graph that looks each token up; segment logits are the window's mean evidence."""
    table = np.zeros((len(VOCABULARY), len(AXES) + len(SPAN_LOGITS)), dtype=np.float32)
    columns = (*AXES, *SPAN_LOGITS)
    table[:, columns.index("O")] = 4.0
    table[:, columns.index("loaded")] = -4.0
    for word, evidence in evidence_of.items():
        for name, value in evidence.items():
            table[VOCABULARY[word], columns.index(name)] = value
    axes, size = len(AXES), len(columns)
    bias = np.full((1, 1, axes), -3.0, dtype=np.float32)
    integers = {"start": [0], "middle": [axes], "end": [size], "last": [2], "length": [1]}
    constants = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(bias, "bias")]
    constants += [
        numpy_helper.from_array(np.array(value, dtype=np.int64), name)
        for name, value in integers.items()
    ]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["found"]),
        helper.make_node("Slice", ["found", "start", "middle", "last"], ["evidence"]),
        helper.make_node("Slice", ["found", "middle", "end", "last"], ["span_logits"]),
        helper.make_node("ReduceMean", ["evidence", "length"], ["mean"], keepdims=1),
        helper.make_node("Add", ["mean", "bias"], ["shifted"]),
        # The role matters as well: a headline token adds a hair of `framed` to its position.
        helper.make_node("Cast", ["token_type_ids"], ["types"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["types", "last"], ["column"]),
        helper.make_node("Add", ["column", "shifted"], ["segment_logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "lookup",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, [1, "t"])
            for name in ("input_ids", "token_type_ids")
        ],
        [
            helper.make_tensor_value_info("segment_logits", TensorProto.FLOAT, [1, "t", axes]),
            helper.make_tensor_value_info("span_logits", TensorProto.FLOAT, [1, "t", size - axes]),
        ],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def write_model(
    folder: Path,
    evidence: Mapping[str, Mapping[str, float]] = EVIDENCE,
    **changes: object,
) -> Path:
    """A complete artifact around the lookup graph."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(lookup_graph(evidence), str(folder / MODEL_FILE))
    make_tokenizer().save(str(folder / TOKENIZER_FILE))
    (folder / CARD_FILE).write_text("# lookup\n", encoding="utf-8")
    settings: dict[str, object] = {
        "name": "lookup",
        "version": "1.0.0",
        "encoder": "none",
        "precision": "fp32",
        "features": FeatureConfig(max_tokens=32, overlap=8),
        "decoding": DecodingConfig(),
        **changes,
    }
    write_manifest(folder, Manifest(**settings))  # type: ignore[arg-type]
    return folder


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def write_encoder(folder: Path) -> Path:
    """A BERT of two layers of 32, random weights, with the tests' tokenizer."""
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=make_tokenizer(),
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(folder)
    return folder


def tiny_documents(count: int, first: int = 0) -> list[LabelledDocument]:
    """Articles whose labels a lookup of words can learn.

    From one hundred of `first` to the next their texts differ, but not their words.
    """
    from framelens_training.corpora.markup import parse_markup

    space = " " * (1 + first // 100)
    places = itertools.cycle(["road", "plan", "mayor", "news"])
    articles = [
        f"#id: d{first + number}\n\nH-| The{space}{next(places)} of {number}\n\n"
        f"a| {{s|The minister}} {{c|said}} {{q|road {number} was closed}}.\n"
        f"f| {{l|Shameful}} {next(places)} of {number}.\n-| The {next(places)} is {number}.\n\n"
        f"b| Sign up to news {number}\n"
        for number in range(count)
    ]
    return parse_markup("===\n".join(articles))


def gold_tokens(tags: NDArray[np.int64], height: float = 9.0) -> NDArray[np.float32]:
    """Token logits (n, 8) of a network that knows the tags (n,)."""
    rows = np.zeros((len(tags), len(SPAN_LOGITS)), dtype=np.float32)
    heads = np.flatnonzero(tags >= 0)
    rows[heads, tags[heads]] = height
    return rows


def perfect_logits(item: LabelledFeatures) -> list[NDArray[np.float32]]:
    """Token logits (n, 8) of each segment that say what its targets say."""
    arrays = []
    for target in item.targets:
        array = gold_tokens(target.tags)
        array[:, -1] = np.where(target.loaded == 1, 9.0, -9.0)
        arrays.append(array)
    return arrays


def logits_of(item: LabelledFeatures, tokens: Sequence[NDArray[np.float32]]) -> DocumentLogits:
    """A document's logits: these of tokens, and of segments that none is furniture."""
    size = len(item.targets)
    axes, headlines = np.full((size, len(AXES)), -9, np.float32), np.zeros(size, np.bool_)
    return DocumentLogits(axes, tuple(tokens), headlines)


def gold_network(item: LabelledFeatures) -> NetworkLike:
    """A network that knows a document's tags."""
    from framelens_training.targets import labelled_window

    def network(window: WindowFeatures) -> tuple[Floats, Floats]:
        tags = labelled_window(window, item.targets).tags
        return np.zeros((len(tags), len(AXES)), dtype=np.float32), gold_tokens(tags)

    return network


def put_article_corpora(root: Path, raw_article: str) -> None:
    """SemEval with one training article, and PolNeAR with one dev article of two annotators."""
    raw = root / "semeval2023-task3/data/raw/en"
    (raw / "train-articles-subtask-3").mkdir(parents=True)
    (raw / "train-articles-subtask-3/article7.txt").write_text(raw_article, "utf-8")
    (raw / "train-labels-subtask-3-spans.txt").write_text("", "utf-8")
    data = root / "polnear/data"
    for part in ("train", "dev"):
        (data / part / "text").mkdir(parents=True)
        (data / part / "attributions").mkdir()
    (data / "metadata.tsv").write_text(
        "compartment\tfilename\tpublisher\tpublication_date\ttitle\n", "utf-8"
    )
    (data / "dev/text/valve.txt").write_text("Valve shut\n\nRain fell.\n", "utf-8")
    for annotator in ("4b22", "1f00"):
        (data / f"dev/attributions/valve_{annotator}.ann").write_text("", "utf-8")
