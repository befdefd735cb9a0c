"""Headlines with their bodies, annotated for the headline check.

The packaged pairs are described in docs/headline_check.md. A row of the file:

    {"id": "...", "style": "tabloid", "topic": "sport", "country": "Ireland",
     "kind": "epithet", "headline": "{Chaos club} to lose licence by Christmas",
     "body": ["First sentence.", "Second sentence."], "aligned": [1], "attribution": "dropped"}

Braces hold the headline's own wording. `aligned` lists the sentences that carry the headline's
claim; where there is none, `attribution` is null.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from framelens.schema import ATTRIBUTIONS, Attribution
from framelens_training.corpora.labelled import CorpusError, Problem

Part = Literal["tuning", "test"]
_TUNING_SHARE = 0.3
_TEXT_KEYS = ("id", "style", "topic", "country", "kind", "headline")


@dataclass(frozen=True, slots=True)
class HeadlinePair:
    """A headline and its body, with the answers.

    `own` holds the headline's own wording, (start, end) in code points of `headline`; `aligned`
    indexes `body`. `attribution` is None for a headline that no sentence carries.
    """

    id: str
    style: str
    topic: str
    country: str
    kind: str
    headline: str
    own: tuple[tuple[int, int], ...]
    body: tuple[str, ...]
    aligned: tuple[int, ...]
    attribution: Attribution | None

    @property
    def text(self) -> str:
        """The body as one paragraph."""
        return " ".join(self.body)

    @property
    def part(self) -> Part:
        """Told by the id alone, so that no later pair moves an earlier one."""
        first = hashlib.sha256(self.id.encode()).digest()[0]
        return "tuning" if first < _TUNING_SHARE * 256 else "test"


def read_pairs(path: Path | None = None) -> list[HeadlinePair]:
    """The packaged pairs, or those of another file.

    Raises:
        CorpusError: with every problem of the file.
    """
    if path is None:
        packaged = resources.files("framelens_training.corpora") / "starter/headline_pairs.jsonl"
        name, lines = packaged.name, packaged.read_text(encoding="utf-8").splitlines()
    else:
        name, lines = str(path), path.read_text(encoding="utf-8").splitlines()
    pairs: list[HeadlinePair] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        try:
            pairs.append(_pair(json.loads(line)))
        except (KeyError, TypeError, ValueError) as error:
            problems.append(Problem(where, str(error)))
    ids = [pair.id for pair in pairs]
    problems += [
        Problem(name, f"expected ids that differ, found {double!r} twice")
        for double in sorted({item for item in ids if ids.count(item) > 1})
    ]
    if problems:
        raise CorpusError(problems)
    return pairs


def _pair(row: Mapping[str, Any]) -> HeadlinePair:
    missing = [key for key in (*_TEXT_KEYS, "body", "aligned", "attribution") if key not in row]
    if missing:
        raise ValueError(f"expected the keys {missing}, found {sorted(row)}")
    bad = [key for key in _TEXT_KEYS if not isinstance(row[key], str) or not row[key].strip()]
    if bad:
        raise ValueError(f"expected {bad} to be text")
    body, aligned, attribution = tuple(row["body"]), tuple(row["aligned"]), row["attribution"]
    if not body or any(not isinstance(sentence, str) for sentence in body):
        raise ValueError("expected body to be a list of sentences")
    if any(not isinstance(at, int) or not 0 <= at < len(body) for at in aligned):
        raise ValueError(f"expected aligned to index {len(body)} sentences, found {aligned}")
    if attribution is not None and attribution not in ATTRIBUTIONS:
        raise ValueError(f"expected attribution to be one of {ATTRIBUTIONS}, found {attribution!r}")
    if (attribution is None) != (not aligned):
        raise ValueError("expected attribution null exactly where aligned is empty")
    headline, own = _unmarked(row["headline"])
    if own and not aligned:
        raise ValueError("expected no own wording where aligned is empty")
    texts = {key: row[key] for key in _TEXT_KEYS}
    return HeadlinePair(
        **{**texts, "headline": headline},
        own=own,
        body=body,
        aligned=aligned,
        attribution=attribution,
    )


def _unmarked(marked: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A headline without its braces, and the stretches that stood in them."""
    text: list[str] = []
    spans: list[tuple[int, int]] = []
    start: int | None = None
    for character in marked:
        if character == "{" and start is None:
            start = len(text)
        elif character == "}" and start is not None and start < len(text):
            spans.append((start, len(text)))
            start = None
        elif character in "{}":
            raise ValueError(f"expected braces in pairs around text, found {marked!r}")
        else:
            text.append(character)
    if start is not None:
        raise ValueError(f"expected a closing brace, found {marked!r}")
    return "".join(text), tuple(spans)
