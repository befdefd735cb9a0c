"""The one place that runs the ONNX graph."""

from __future__ import annotations

import ctypes
import os
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# As it is imported, ONNX Runtime (from 1.29 on) begins to report to its makers what it runs, and by
# a thread that no fork can end, unless the environment tells it not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort

from framelens.decoding import Floats
from framelens.errors import ArtifactError
from framelens.features import WindowFeatures
from framelens.signed_weights import cpu_prefers_signed, with_signed_weights

INPUTS = ("input_ids", "token_type_ids")
"""Both int64, shape (1, t): one window, unpadded."""
OUTPUTS = ("segment_logits", "span_logits")
"""float32, shapes (1, t, 3) and (1, t, 8)."""
EMBEDDINGS = "token_embeddings"
"""A third output, float32 of shape (1, t, width): the word embeddings that the encoder looks up,
for the headline check. Graphs without it are read as well."""


@dataclass(frozen=True, slots=True)
class WindowOutputs:
    """Segment logits (t, 3), span logits (t, 8), and token embeddings (t, width) if there are."""

    segment_logits: Floats
    span_logits: Floats
    embeddings: Floats | None


class Network:
    """An ONNX Runtime session that takes one window at a time.

    Dynamic int8 quantization scales activations by what shares the batch, so that a batch of
    one is what makes a window's logits independent of chunking, order and resumption.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        """Open a graph.

        Raises:
            ArtifactError: if ONNX Runtime cannot read it, or it has other inputs or outputs.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(
                _graph(path),
                sess_options=options,
                providers=["CPUExecutionProvider"],
                # Slower with it, as benchmarks/session_options.py measures.
                disabled_optimizers=["SkipLayerNormFusion"],
            )
        except Exception as error:  # ONNX Runtime's exceptions have no common public base
            raise ArtifactError(f"{path}: ONNX Runtime cannot read the graph: {error}") from error
        self._session._model_bytes = None  # kept by ONNX Runtime for providers that may fail
        _OPEN.add(self)
        inputs = tuple(node.name for node in self._session.get_inputs())
        outputs = tuple(node.name for node in self._session.get_outputs())
        if inputs != INPUTS or outputs not in (OUTPUTS, (*OUTPUTS, EMBEDDINGS)):
            raise ArtifactError(
                f"{path}: expected inputs {INPUTS} and outputs {OUTPUTS}, which {EMBEDDINGS!r} "
                f"may follow, found {inputs} and {outputs}; export the model again"
            )
        self._outputs = outputs
        self.embedding_width: int | None = None
        """Width of the token embeddings; None if the graph does not give them."""
        if len(outputs) > len(OUTPUTS):
            self.embedding_width = int(self._session.get_outputs()[-1].shape[-1])

    def __call__(self, window: WindowFeatures) -> tuple[Floats, Floats]:
        """Segment logits (t, 3) and span logits (t, 8) of one window."""
        segment_logits, span_logits = self._run(OUTPUTS, window)
        return segment_logits, span_logits

    def read(self, window: WindowFeatures, *, embeddings: bool = True) -> WindowOutputs:
        """All that the graph says of one window, the token embeddings only where asked for."""
        found = self._run(self._outputs if embeddings else OUTPUTS, window)
        return WindowOutputs(found[0], found[1], found[2] if len(found) > len(OUTPUTS) else None)

    def _run(self, outputs: tuple[str, ...], window: WindowFeatures) -> list[Floats]:
        feed = (window.input_ids[np.newaxis], window.token_type_ids[np.newaxis])
        found = self._session.run(outputs, dict(zip(INPUTS, feed, strict=True)))
        return [array[0] for array in found]


_OPEN: weakref.WeakSet[Network] = weakref.WeakSet()


def _keep_open() -> None:
    """In a forked process no session of the parent's may be freed: its threads did not come along,
    and freeing it would wait for them, or crash.
    """
    for network in _OPEN:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(network))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_open)


def _graph(path: Path) -> str | bytes:
    """What ONNX Runtime is given: the file, or the form of it that this CPU computes faster."""
    if not cpu_prefers_signed():
        return str(path)
    model = path.read_bytes()
    try:
        changed = with_signed_weights(model)
    except ValueError:
        return str(path)  # ONNX Runtime will say what is wrong with it
    return str(path) if changed is model else changed
