"""The same documents in other typography: without full stops, with other quotation marks.

Corpora of edited news end every sentence with a full stop, which lines of page furniture lack.
A model learns the mark then, and takes a sentence that lost it (the last of a teaser that was cut,
a row of a table, a post) for furniture. And each corpus has quotation marks of one kind. So some
training documents are shown without final full stops, or with the other kind of marks. Labels and
teachers' answers stay as they are: what is said does not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from framelens.features import DocumentFeatures, Featurizer, TokenizedSegment
from framelens_training.targets import LabelledFeatures, SegmentTargets

_STRAIGHT = {"“": '"', "”": '"', "‘": "'", "’": "'"}
_CURLY = {'"': ("“", "”"), "'": ("‘", "’")}
"""What stands for a straight mark that opens, and for one that closes or stands in a word."""
_USES = "“So,” ‘so.’ \"So,\" 'so.' So’s so's"
"""Where a text has marks."""


class Typography:
    """Changes documents that a tokenizer has split.

    Marks that it does not know stay, and those that are within other tokens too, such as `▁"`:
    with the rest of them changed, a quotation would have marks of both kinds.
    """

    def __init__(self, featurizer: Featurizer) -> None:
        """Take the featurizer that the documents come from."""
        self._featurizer = featurizer
        self._stop = featurizer.token_id(".")
        (segment,) = featurizer.tokenize([_USES], ["body"])
        found = segment.ids.tolist()
        ids = {
            mark: number
            for mark in "“”‘’\"'"
            if (number := featurizer.token_id(mark)) is not None
            and found.count(number) == _USES.count(mark)
        }
        self._straight = {
            ids[curly]: ids[straight]
            for curly, straight in _STRAIGHT.items()
            if {curly, straight} <= ids.keys()
        }
        self._curly = {
            ids[straight]: (ids[opening], ids[closing])
            for straight, (opening, closing) in _CURLY.items()
            if {straight, opening, closing} <= ids.keys()
        }

    def varied(self, item: LabelledFeatures, generator: np.random.Generator) -> LabelledFeatures:
        """A document in one of the other forms, each as likely."""
        forms = (self.without_last_stop, self.without_stops, self.with_other_marks)
        return forms[int(generator.integers(len(forms)))](item)

    def without_last_stop(self, item: LabelledFeatures) -> LabelledFeatures:
        """A document whose last segment has lost its full stop."""
        return self._without_stops(item, -1)

    def without_stops(self, item: LabelledFeatures) -> LabelledFeatures:
        """A document whose segments have all lost their final full stops."""
        return self._without_stops(item, 0)

    def with_other_marks(self, item: LabelledFeatures) -> LabelledFeatures:
        """A document with curly quotation marks and apostrophes if it has a straight one.

        Otherwise it is the one with straight marks.
        """
        segments = item.features.segments
        is_straight = any(np.isin(segment.ids, list(self._curly)).any() for segment in segments)
        change = self._curled if is_straight else self._straightened
        changed = [replace(segment, ids=change(segment)) for segment in segments]
        return self._of(item, changed, item.targets)

    def _without_stops(self, item: LabelledFeatures, first: int) -> LabelledFeatures:
        segments, targets = list(item.features.segments), list(item.targets)
        for index in range(len(segments))[first:]:
            segments[index], targets[index] = self._unstopped(segments[index], targets[index])
        return self._of(item, segments, targets)

    def _of(
        self,
        item: LabelledFeatures,
        segments: Sequence[TokenizedSegment],
        targets: Sequence[SegmentTargets],
    ) -> LabelledFeatures:
        """Changed segments of a document; the document, by its text, stays as it was."""
        features = DocumentFeatures(tuple(segments), tuple(self._featurizer.windows(segments)))
        return LabelledFeatures(item.document, features, tuple(targets))

    def _unstopped(
        self, segment: TokenizedSegment, target: SegmentTargets
    ) -> tuple[TokenizedSegment, SegmentTargets]:
        """A segment without its final full stop; an ellipsis stays."""
        ids = segment.ids
        if len(ids) < 2 or ids[-1] != self._stop or ids[-2] == self._stop:
            return segment, target
        soft = target.soft and replace(target.soft, words=target.soft.words[:-1])
        return (
            replace(segment, ids=ids[:-1], offsets=segment.offsets[:-1], words=segment.words[:-1]),
            replace(target, tags=target.tags[:-1], loaded=target.loaded[:-1], soft=soft),
        )

    def _straightened(self, segment: TokenizedSegment) -> NDArray[np.int64]:
        ids = segment.ids.copy()
        for curly, straight in self._straight.items():
            ids[segment.ids == curly] = straight
        return ids

    def _curled(self, segment: TokenizedSegment) -> NDArray[np.int64]:
        """A mark opens at the segment's start and after white space, otherwise it closes."""
        ids, (starts, ends) = segment.ids.copy(), segment.offsets.T
        opens = np.ones(len(ids), dtype=bool)
        opens[1:] = starts[1:] > ends[:-1]
        for straight, (opening, closing) in self._curly.items():
            here = segment.ids == straight
            ids[here] = np.where(opens[here], opening, closing)
        return ids
