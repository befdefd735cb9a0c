from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framelens.windows import Piece, pack

lengths = st.lists(st.integers(0, 90), max_size=60)


def tokens_of(window: tuple[Piece, ...]) -> int:
    return 1 + sum(piece.size + 1 for piece in window)


@given(lengths, st.integers(8, 40))
def test_every_token_is_read_and_no_window_is_too_long(sizes: list[int], limit: int) -> None:
    windows = pack(sizes, limit, overlap=limit // 4)
    assert all(tokens_of(window) <= limit for window in windows)
    pieces = [piece for window in windows for piece in window]
    assert [p.segment for p in pieces] == sorted(p.segment for p in pieces)
    for segment, size in enumerate(sizes):
        mine = [piece for piece in pieces if piece.segment == segment]
        covered = {i for piece in mine for i in range(piece.start, piece.end)}
        assert covered == set(range(size))
        assert mine, "a segment without tokens keeps its place"
        assert len(mine) == 1 or size > limit - 2


@pytest.mark.parametrize(("length", "count"), [(253, 1), (254, 1), (255, 2), (444, 2), (445, 3)])
def test_a_segment_is_cut_only_beyond_the_window(length: int, count: int) -> None:
    windows = pack([length], 256, 64)
    assert len(windows) == count
    pieces = [window[0] for window in windows]
    assert all(piece.size == min(length, 254) for piece in pieces)
    for before, after in itertools.pairwise(pieces):
        assert before.end - after.start >= 64


def test_pieces_need_not_overlap() -> None:
    pieces = [window[0] for window in pack([20], 12, 0)]
    assert [(piece.start, piece.end) for piece in pieces] == [(0, 10), (10, 20)]


def test_segments_share_windows_evenly() -> None:
    windows = pack([50, 50, 50, 50, 50, 5], 256, 64)
    assert [tokens_of(window) for window in windows] == [154, 109]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60))
def test_no_more_windows_than_greedy_packing_needs(sizes: list[int]) -> None:
    greedy, filled = 1, 1
    for size in sizes:
        if filled + size + 1 > 32:
            greedy, filled = greedy + 1, 1
        filled += size + 1
    assert len(pack(sizes, 32, 8)) == greedy


@pytest.mark.parametrize(("limit", "overlap"), [(2, 0), (16, 14), (16, -1)])
def test_limits_that_leave_no_room_are_refused(limit: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="expected max_tokens"):
        pack([1], limit, overlap)


def test_nothing_gives_nothing() -> None:
    assert pack([]) == []
