"""The same documents about the other party.

Whose supporters a headline offends is no matter of its wording, but labels of framing go with
subjects: most hyperpartisan titles of one corpus are about one man. So some training documents are
shown with the two parties of the United States exchanged, and their best-known politicians, under
the same labels and teachers' answers (counterfactual data augmentation, Lu et al. 2018; what it
should bring down is the gap of counterfactual token fairness, Garg et al. 2019). What comes out
need not be true.
"""

from __future__ import annotations

import operator
from dataclasses import replace
from itertools import product

import numpy as np

from framelens.features import Featurizer, TokenizedSegment
from framelens_training.corpora.reading import inside_word
from framelens_training.targets import LabelledFeatures

_EXCHANGED = (
    ("Republican", "Democrat"), ("Republicans", "Democrats"), ("Democratic", "Republican"),
    ("Conservative", "Liberal"), ("Conservatives", "Liberals"), ("Trump", "Clinton"),
    ("Donald", "Hillary"), ("Obama", "Romney"), ("Barack", "Mitt"), ("Sanders", "Cruz"),
    ("Bernie", "Ted"), ("McCain", "Kerry"),
)  # fmt: skip
"""Words for each other. "Democratic" becomes "Republican", which becomes "Democrat"."""
_BEFORE = ("", "Ġ", "▁")
"""What stands before a word that follows white space, in the vocabularies of some tokenizers."""


class Parties:
    """Exchanges words that are one token each; those of which either is none stay."""

    def __init__(self, featurizer: Featurizer) -> None:
        """Take the featurizer that the documents come from."""
        self._featurizer = featurizer
        self._other: dict[int, int] = {}
        for pair, before in product(_EXCHANGED, _BEFORE):
            for words in (pair, map(str.lower, pair)):
                first, second = (featurizer.token_id(before + word) for word in words)
                if first is not None and second is not None:
                    self._other[first] = second
                    self._other.setdefault(second, first)

    def exchanged(self, item: LabelledFeatures) -> LabelledFeatures:
        """The document about the other side; the words' places, labels and answers stay.

        One that names no side is given back as it is.
        """
        texts = map(item.document.segment_text, item.document.segments)
        segments = tuple(map(self._of_the_other, item.features.segments, texts))
        if all(map(operator.is_, segments, item.features.segments)):
            return item
        windows = tuple(self._featurizer.windows(segments))
        return replace(item, features=replace(item.features, segments=segments, windows=windows))

    def _of_the_other(self, segment: TokenizedSegment, text: str) -> TokenizedSegment:
        """A segment whose tokens that are whole words are exchanged: no "Ted" in "tedious"."""
        ids = segment.ids.tolist()
        places = [
            at
            for at, (number, edges) in enumerate(zip(ids, segment.offsets.tolist(), strict=True))
            if number in self._other and not any(inside_word(text, edge) for edge in edges)
        ]
        if not places:
            return segment
        for at in places:
            ids[at] = self._other[ids[at]]
        return replace(segment, ids=np.array(ids, np.int64))
