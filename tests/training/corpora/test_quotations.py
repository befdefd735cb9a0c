from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framelens_training.corpora.quotations import MAX_LENGTH, quoted_ranges


def quoted(text: str) -> list[str]:
    return [text[a:b] for a, b in quoted_ranges(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('She called it "a circus" and left.', ['"a circus"']),
        ("She called it “a circus” and left.", ["“a circus”"]),
        ("Sie nannte es „Zirkus“ und ging.", ["„Zirkus“"]),
        ("Elle a dit «un cirque» hier.", ["«un cirque»"]),
        ("The 'circus' left; it's gone.", ["'circus'"]),
        ("The ‘boys’ town’s circus.", ["‘boys’"]),
        ("``A circus,'' she said.", ["``A circus,''"]),
        ("It's the boys' own circus in '94, isn't it?", []),
        ("\"He said 'no' twice,\" she said.", ["\"He said 'no' twice,\""]),
        # A sentence may hold half of a quotation.
        ('We ran," she said.', ['We ran,"']),
        ("“We ran and", ["“We ran and"]),
        # Over lines, when it is closed; opened anew in each paragraph, when it is not.
        ("“We ran.\nIt was late.” They left.", ["“We ran.\nIt was late.”"]),
        ('"We ran.\n"It was late." They left.', ['"We ran.', '"It was late."']),
        ("“We ran.\n\n“It was late.” They left.", ["“We ran.", "“It was late.”"]),
        ('"We ran.\n  "It was late." They left.', ['"We ran.', '"It was late."']),
        ("``We ran.\n\n``It was late.'' They left.", ["``We ran.", "``It was late.''"]),
        ('"We ran.\nShe said "it was late."', ['"We ran.', '"it was late."']),
        ("", []),
    ],
)
def test_quoted_stretches(text: str, expected: list[str]) -> None:
    assert quoted(text) == expected


def test_a_closing_mark_is_not_looked_for_too_far_away() -> None:
    text = "“We ran\n" + "and ran\n" * MAX_LENGTH + "home”"
    assert quoted(text)[0] == "“We ran"


@given(st.text(alphabet="ab .\n\"'“”‘’„«»`", max_size=60))
def test_ranges_are_ordered_disjoint_and_inside(text: str) -> None:
    last = 0
    for start, end in quoted_ranges(text):
        assert last <= start < end <= len(text)
        last = end
