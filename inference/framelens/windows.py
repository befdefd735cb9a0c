"""Packing consecutive segments into windows that the encoder reads in one go.

A window is `[CLS] piece [SEP] piece [SEP] ...`; a piece is a whole segment, except that a
segment longer than a window is cut into overlapping pieces, each alone in its window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_TOKENS = 256
"""Default window length in tokens, special tokens included."""
LARGEST_MAX_TOKENS = 4096
"""Longest window that a graph is exported for."""
OVERLAP = 64
"""Default tokens shared by neighbouring pieces of a segment that exceeds a window."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens `[start, end)` of segment `segment`."""

    segment: int
    start: int
    end: int

    @property
    def size(self) -> int:
        """Tokens in the piece, without its separator."""
        return self.end - self.start


Window = tuple[Piece, ...]


def pack(
    lengths: Sequence[int], max_tokens: int = MAX_TOKENS, overlap: int = OVERLAP
) -> list[Window]:
    """Pack segments of the given lengths (in tokens) into windows, in order.

    As few windows are made as packing in order allows, and the fullest of them is as small
    as that number permits: an article of 260 tokens becomes two windows of about 130, not
    one of 256 and a last sentence without company. Costs O(n log max_tokens).

    Raises:
        ValueError: if there are no windows of that size.
    """
    check_sizes(max_tokens, overlap)
    capacity = max_tokens - 2  # one [CLS], one [SEP]
    windows: list[Window] = []
    run: list[int] = []
    for index, length in enumerate(lengths):
        if length <= capacity:
            run.append(index)
            continue
        windows.extend(_pack_run(run, lengths, max_tokens - 1))
        run = []
        windows.extend((piece,) for piece in _cut(index, length, capacity, overlap))
    windows.extend(_pack_run(run, lengths, max_tokens - 1))
    return windows


def check_sizes(max_tokens: int, overlap: int) -> None:
    """Make sure that segments can be packed into windows of this size.

    Raises:
        ValueError: if a window could not hold a token, is longer than any encoder's, or the
            overlap does not leave progress.
    """
    if not (0 <= overlap < max_tokens - 2 and max_tokens <= LARGEST_MAX_TOKENS):
        raise ValueError(
            f"expected max_tokens from 3 to {LARGEST_MAX_TOKENS} and 0 <= overlap < max_tokens - "
            f"2, found max_tokens={max_tokens}, overlap={overlap}"
        )


def _cut(segment: int, length: int, capacity: int, overlap: int) -> list[Piece]:
    step = capacity - overlap
    count = 1 + -(-(length - capacity) // step)
    # The last piece is moved back so that it is as long as the others.
    starts = [min(i * step, length - capacity) for i in range(count)]
    return [Piece(segment, start, start + capacity) for start in starts]


def _pack_run(run: Sequence[int], lengths: Sequence[int], limit: int) -> list[Window]:
    """Pack segments that each fit, `limit` being the tokens a window has after its [CLS]."""
    if not run:
        return []
    sizes = [lengths[index] + 1 for index in run]  # with its separator
    fewest = _count(sizes, limit)
    low, high = max(max(sizes), -(-sum(sizes) // fewest)), limit
    while low < high:
        middle = (low + high) // 2
        if _count(sizes, middle) > fewest:
            low = middle + 1
        else:
            high = middle
    windows: list[Window] = []
    current: list[Piece] = []
    filled = 0
    for index, size in zip(run, sizes, strict=True):
        if filled + size > low and current:
            windows.append(tuple(current))
            current, filled = [], 0
        current.append(Piece(index, 0, size - 1))
        filled += size
    windows.append(tuple(current))
    return windows


def _count(sizes: Sequence[int], limit: int) -> int:
    count, filled = 1, 0
    for size in sizes:
        if filled + size > limit:
            count, filled = count + 1, 0
        filled += size
    return count
