"""The same documents about the other party.

Whose supporters a headline offends is no matter of its wording, but labels of framing go with
subjects: most hyperpartisan titles of one corpus are about one man. So some training documents are
shown with the two parties of the United States exchanged, and their best-known politicians, under
the same labels and teachers' answers (counterfactual data augmentation, Lu et al. 2018; what it
should bring down is the gap of counterfactual token fairness, Garg et al. 2019). What comes out
need not be true.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from framelens.features import Featurizer
from framelens_training.targets import LabelledFeatures

_EXCHANGED = (
    ("republican", "democrat"), ("republicans", "democrats"), ("democratic", "republican"),
    ("conservative", "liberal"), ("conservatives", "liberals"), ("trump", "clinton"),
    ("donald", "hillary"), ("obama", "romney"), ("barack", "mitt"), ("sanders", "cruz"),
    ("bernie", "ted"), ("mccain", "kerry"),
)  # fmt: skip
"""Words for each other. "Democratic" becomes "Republican", which becomes "Democrat"."""


class Parties:
    """Exchanges words that are one token each; those of which either is none stay."""

    def __init__(self, featurizer: Featurizer) -> None:
        """Take the featurizer that the documents come from."""
        self._featurizer = featurizer
        self._other: dict[int, int] = {}
        for word, counterpart in _EXCHANGED:
            first, second = featurizer.token_id(word), featurizer.token_id(counterpart)
            if first is not None and second is not None:
                self._other[first] = second
                self._other.setdefault(second, first)

    def are_named(self, item: LabelledFeatures) -> bool:
        """Whether anything would change."""
        return any(
            not self._other.keys().isdisjoint(segment.ids.tolist())
            for segment in item.features.segments
        )

    def exchanged(self, item: LabelledFeatures) -> LabelledFeatures:
        """The document about the other side; the words' places, labels and answers stay."""
        if not self.are_named(item):
            return item
        segments = tuple(
            replace(
                segment,
                ids=np.array([self._other.get(i, i) for i in segment.ids.tolist()], np.int64),
            )
            for segment in item.features.segments
        )
        windows = tuple(self._featurizer.windows(segments))
        return replace(item, features=replace(item.features, segments=segments, windows=windows))
