"""What ONNX Runtime's options, graph rewrites and precisions change for batches of one window.

    python benchmarks/session_options.py [--windows 40] [--runs 5] [--model DIR] [--fp32 GRAPH]
                                         [--only NAME ...] [--quick]

Each variant is compared with the session that framelens opens (`as framelens`), in pairs, on the
same windows of articles and of single sentences: `speed` is how many times as fast, in processor
time of one thread; `difference` the largest difference of a logit. Other precisions are made from
the run's fp32 graph, which lies beside the model, or is multiplied out of the shipped one.
"""

from __future__ import annotations

import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

import batch_common as common
import batch_texts
from framelens.artifact import Artifact, resolve
from framelens.features import Featurizer, WindowFeatures
from framelens.network import INPUTS, OUTPUTS
from framelens.segmentation import segment_article, segment_unit
from framelens.signed_weights import cpu_prefers_signed, with_signed_weights
from framelens_training.graph_fusion import fuse

Run = Callable[[WindowFeatures], list[Any]]
_LAYER_NORM = ("SkipLayerNormFusion",)
BASE = "as framelens"


class Variants:
    """Ways to open the same model; each name gives a function that reads a window."""

    def __init__(self, artifact: Artifact, fp32: Path | None, folder: Path) -> None:
        shipped = artifact.model.read_bytes()
        self._model = with_signed_weights(shipped) if cpu_prefers_signed() else shipped
        self._shipped = shipped
        self._fp32 = fp32
        self._folder = folder
        level = ort.GraphOptimizationLevel
        self.all: dict[str, Callable[[], Run]] = {
            BASE: self._with(),
            "weights as shipped": lambda: _reader(_session(self._shipped)),
            "graph optimisation off": self._with(graph_optimization_level=level.ORT_DISABLE_ALL),
            "graph optimisation basic": self._with(graph_optimization_level=level.ORT_ENABLE_BASIC),
            "graph optimisation extended": self._with(
                graph_optimization_level=level.ORT_ENABLE_EXTENDED
            ),
            "no arena": self._with(enable_cpu_mem_arena=False),
            "no memory pattern": self._with(enable_mem_pattern=False),
            "parallel execution": self._with(execution_mode=ort.ExecutionMode.ORT_PARALLEL),
            "spinning": self._with({"session.intra_op.allow_spinning": "1"}),
            "denormals are zero": self._with({"session.set_denormal_as_zero": "1"}),
            "no prepacking": self._with({"session.disable_prepacking": "1"}),
            "IO binding": lambda: _bound(_session(self._model)),
            "saved after optimisation": self._saved,
            "layer norm not fused": lambda: _reader(_session(self._model, unfused=_LAYER_NORM)),
            "fused attention and GELU": self._fused,
            "… and layer norm not fused": lambda: _reader(
                _session(_fused_bytes(self._model), unfused=_LAYER_NORM)
            ),
        }
        if fp32 is not None:
            self.all |= {
                "fp32": lambda: _reader(_session(fp32.read_bytes())),
                "fp32, fused": lambda: _reader(_session(_fused_bytes(fp32.read_bytes()))),
                "int8: signed, reduced range": lambda: self._quantized(signed=True, reduce=True),
                "int8: signed, full range": lambda: self._quantized(signed=True, reduce=False),
                "int8: unsigned, full range": lambda: self._quantized(signed=False, reduce=False),
            }

    def _with(self, entries: dict[str, str] | None = None, **options: Any) -> Callable[[], Run]:
        return lambda: _reader(_session(self._model, entries, **options))

    def _saved(self) -> Run:
        path = self._folder / "optimised.onnx"
        _session(self._model, optimized_model_filepath=str(path))
        off = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        return _reader(_session(path.read_bytes(), graph_optimization_level=off))

    def _fused(self) -> Run:
        return _reader(_session(_fused_bytes(self._model)))

    def _quantized(self, *, signed: bool, reduce: bool) -> Run:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.ERROR)  # the quantizer logs advice
        target = self._folder / "int8.onnx"
        try:
            quantize_dynamic(
                str(self._fp32),
                str(target),
                op_types_to_quantize=["MatMul"],
                per_channel=True,
                reduce_range=reduce,
                weight_type=QuantType.QInt8 if signed else QuantType.QUInt8,
            )
        finally:
            root.setLevel(level)
        return _reader(_session(target.read_bytes()))


def _fused_bytes(model: bytes) -> bytes:
    # int8 makes much of another rounding: `difference` says how much.
    graph = onnx.load_from_string(model)
    fused = fuse(graph, tolerance=float("inf"))
    if fused is graph:
        print("the graph was not fused", file=sys.stderr)
    return bytes(fused.SerializeToString())


def _session(
    model: bytes,
    entries: dict[str, str] | None = None,
    unfused: Sequence[str] = (),
    **options: Any,
) -> ort.InferenceSession:
    """A session as framelens opens one, but for what is given."""
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    chosen = {"session.intra_op.allow_spinning": "0", **(entries or {})}
    for key, value in chosen.items():
        settings.add_session_config_entry(key, value)
    for name, option in options.items():
        setattr(settings, name, option)
    return ort.InferenceSession(
        model,
        sess_options=settings,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=list(unfused),
    )


def _feed(window: WindowFeatures) -> dict[str, Any]:
    arrays = (window.input_ids[np.newaxis], window.token_type_ids[np.newaxis])
    return dict(zip(INPUTS, arrays, strict=True))


def _reader(session: ort.InferenceSession) -> Run:
    return lambda window: list(session.run(OUTPUTS, _feed(window)))


def _bound(session: ort.InferenceSession) -> Run:
    def read(window: WindowFeatures) -> list[Any]:
        binding = session.io_binding()
        for name, array in _feed(window).items():
            binding.bind_cpu_input(name, array)
        for name in OUTPUTS:
            binding.bind_output(name)
        session.run_with_iobinding(binding)
        return list(binding.copy_outputs_to_cpu())

    return read


def main() -> None:
    """Run everything and print JSON."""
    parser = common.arguments(__doc__, runs=5, quick=True)
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--fp32", type=Path, help="fp32 graph of the model; default: beside it")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="variants beside the base")
    options = parser.parse_args()
    if options.quick:
        options.windows, options.runs = 2, 1
    artifact = Artifact.open(resolve(options.model))
    fp32 = options.fp32 or artifact.path.parent / "fp32.onnx"
    found: dict[str, Any] = {"machine": common.machine(), "model": artifact.manifest.name}
    found |= {"runs": options.runs, "signed_weights": cpu_prefers_signed()}
    found["fp32_graph"] = fp32.is_file()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        variants = Variants(artifact, fp32 if fp32.is_file() else None, Path(name)).all
        chosen = {BASE: variants[BASE]} | {
            key: make
            for key, make in variants.items()
            if options.only is None or key in options.only
        }
        read: dict[str, Run] = {}
        for key, make in chosen.items():
            begun = time.process_time()
            read[key] = make()
            found.setdefault("seconds_to_open", {})[key] = round(time.process_time() - begun, 3)
    for unit in ("articles", "sentences"):
        found[unit] = _compared(read, _windows(artifact, unit, options.windows), options.runs)
    print(json.dumps(found, indent=1))


def _windows(artifact: Artifact, unit: str, count: int) -> list[WindowFeatures]:
    featurizer = Featurizer.from_file(artifact.tokenizer, artifact.manifest.features)
    _, rows = batch_texts.articles(count) if unit == "articles" else batch_texts.sentences(count)
    split = segment_article if unit == "articles" else segment_unit
    found: list[WindowFeatures] = []
    for row in rows:
        segments = split(str(row["text"]), row.get("headline"))
        features = featurizer.featurize([s.text for s in segments], [s.role for s in segments])
        found += features.windows
    return found[:count]


def _compared(read: dict[str, Run], windows: Sequence[WindowFeatures], runs: int) -> dict[str, Any]:
    answers: dict[str, list[list[Any]]] = {}

    def timed(name: str) -> Callable[[], float]:
        def run() -> float:
            begun = time.process_time()
            answers[name] = [read[name](window) for window in windows]
            return time.process_time() - begun

        return run

    for name in read:
        read[name](windows[0])
    seconds = common.alternated({name: timed(name) for name in read}, runs)
    tokens = sum(len(window.input_ids) for window in windows)
    return {
        "windows": len(windows),
        "tokens": tokens,
        "variants": {
            name: {
                "tokens_per_second": round(tokens / statistics.median(times)),
                "speed": common.paired_ratio(seconds[BASE], times),
                "difference": max(
                    float(np.abs(a - b).max())
                    for ours, theirs in zip(answers[BASE], answers[name], strict=True)
                    for a, b in zip(ours, theirs, strict=True)
                ),
            }
            for name, times in seconds.items()
        },
    }


if __name__ == "__main__":
    main()
