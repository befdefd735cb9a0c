"""Where a text quotes somebody: stretches between quotation marks of any common style.

Sentence corpora and lines of articles hold half quotations, and straight marks do not say
whether they open or close, so this is a heuristic. It errs towards short stretches: a mark
that is never closed quotes to the end of its line.
"""

from __future__ import annotations

import re

MAX_LENGTH = 1200
"""Farthest place, in code points after the opening mark, at which a closing one is looked for."""

QUOTATION_WORDS = 4
"""Fewest words of a quotation that is taken for a source's; a shorter one may be scare quotes."""

_CLOSERS = {"“": "”", "«": "»", "„": "”“", '"': '"', "‘": "’", "'": "'", "``": "''"}
_SINGLE = "‘'"
_LINE_END = re.compile(r"[\r\n]|\Z")


def quoted_ranges(text: str) -> list[tuple[int, int]]:
    """Stretches inside quotation marks, the marks included, in order and disjoint.

    * A quotation may run over several lines, as long as its closing mark comes within
      `MAX_LENGTH` and no other quotation opens before it. In the convention that every
      paragraph of a long quotation opens anew, each paragraph is a stretch of its own.
    * A closing mark without an opening one quotes from the start of its line.
    * Single marks count only as a pair within a line; an apostrophe is no mark.
    """
    ranges: list[tuple[int, int]] = []
    at = 0
    while at < len(text):
        if _opens(text, at):
            end = _end_of_quotation(text, at)
            if end is not None:
                ranges.append((at, end))
                at = end
                continue
        elif text[at] in "”»" or (text[at] == '"' and _looks_closing(text, at)):
            line = max(text.rfind("\n", 0, at) + 1, ranges[-1][1] if ranges else 0)
            ranges.append((line, at + 1))
        at += 1
    return ranges


def _opens(text: str, at: int) -> bool:
    mark = text[at]
    if mark in "“«„":
        return True
    if mark in "\"'‘":
        before = text[at - 1] if at else " "
        after = text[at + 1] if at + 1 < len(text) else " "
        free = not before.isalnum() and before not in ".,!?;%”’)"
        return free and not after.isspace() and not (mark in _SINGLE and after.isdigit())
    return text.startswith("``", at)


def _looks_closing(text: str, at: int) -> bool:
    return at > 0 and not text[at - 1].isspace()


def _closes(text: str, at: int, mark: str) -> bool:
    if mark in _SINGLE:
        after = text[at + 1] if at + 1 < len(text) else " "
        return not text[at - 1].isspace() and not after.isalnum()
    return True


def _end_of_quotation(text: str, at: int) -> int | None:
    """One past the closing mark; the line's end if there is none; `None` for a stray single."""
    mark = "``" if text.startswith("``", at) else text[at]
    match = _LINE_END.search(text, at)
    line_end = match.start() if match else len(text)
    limit = line_end if mark in _SINGLE else min(len(text), at + MAX_LENGTH)
    place = at + len(mark)
    while place < limit:
        if mark == "``" and text.startswith("''", place):
            return place + 2
        if mark != "``" and text[place] in _CLOSERS[mark]:
            if place > line_end and mark == '"' and _opens(text, place):
                return line_end
            if _closes(text, place, mark):
                return place + 1
        elif place > line_end and text.startswith(mark, place):
            return line_end
        place += 1
    return None if mark in _SINGLE else line_end
