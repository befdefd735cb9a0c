"""The word embeddings of the tokens that a process has come across, by token id."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from framelens.decoding import Floats


class TokenVectors:
    """A table of one vector a token, filled as windows are read.

    A token's embedding depends on nothing else, so that the table answers for windows whose
    logits come from a cache as well. Its size is bounded: vocabulary times width in half
    precision, 23 MB for MiniLM-L6, of which the system gives only what was written to. Several
    threads may write the same rows at once: they write the same values.
    """

    def __init__(self, vocabulary: int, width: int) -> None:
        """An empty table for ids below `vocabulary`."""
        self._rows = np.zeros((vocabulary, width), dtype=np.float16)
        self._known = np.zeros(vocabulary, dtype=np.bool_)

    def add(self, ids: NDArray[np.int64], embeddings: Floats) -> None:
        """Note the embeddings, (t, width), of the tokens at t positions."""
        new = ~self._known[ids]
        if new.any():
            self._rows[ids[new]] = embeddings[new]
            self._known[ids[new]] = True

    def has(self, ids: NDArray[np.int64]) -> bool:
        """Whether the embeddings of all these tokens are known."""
        return bool(self._known[ids].all())

    def get(self, ids: NDArray[np.int64]) -> Floats | None:
        """Vectors, (t, width), of t tokens; None if one of them was never seen."""
        if not self.has(ids):
            return None
        found: Floats = self._rows[ids].astype(np.float32)
        return found
