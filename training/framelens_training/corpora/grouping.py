"""What must not be in two splits, beyond what a corpus itself calls a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from framelens_training.corpora.comparisons import entries_of, likenesses, repeats_by_nature
from framelens_training.corpora.findings import Located
from framelens_training.corpora.inputs import FILES, Part
from framelens_training.corpora.labelled import LabelledDocument
from framelens_training.corpora.splits import group_of


def grouped(documents: Sequence[LabelledDocument]) -> list[LabelledDocument]:
    """The documents in larger groups: of what shares a group, a link, or nearly all of its words.

    What may stand in several articles (`repeats_by_nature`) joins none by its words. The ids must
    be distinct.
    """
    together = _Sets()
    for document in documents:
        together.join(f"id {document.id}", f"group {group_of(document)}")
        if document.url:
            together.join(f"id {document.id}", f"link {document.url}")
    telling = [document for document in documents if not repeats_by_nature(document)]
    part = Part(FILES, "train", tuple(Located(document, document.id) for document in telling))
    for pair in likenesses(entries_of([part])):
        together.join(f"id {pair.left.document.id}", f"id {pair.right.document.id}")
    return [replace(d, meta={**d.meta, "group": together.find(f"id {d.id}")}) for d in documents]


class _Sets:
    """Disjoint sets of names; a set is called by its smallest name, whatever the order."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, name: str) -> str:
        """What the set of a name is called."""
        path = [name]
        while self._parent.get(path[-1], path[-1]) != path[-1]:
            path.append(self._parent[path[-1]])
        self._parent.update(dict.fromkeys(path, path[-1]))
        return path[-1]

    def join(self, left: str, right: str) -> None:
        """Make one set of two."""
        first, second = sorted((self.find(left), self.find(right)))
        self._parent[second] = first
