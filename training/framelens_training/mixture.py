"""Which windows training sees: each segment in company and alone, each corpus by its weight.

A head that has seen an axis only in windows of one sentence loses its calibration in articles,
and the other way round. So the segments of an article are also shown alone, and a lone labelled
sentence is also shown in company: among other sentences of its corpus, or set among unlabelled
neighbours from an article. What is drawn by chance is drawn anew for every epoch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from framelens.features import Featurizer, TokenizedSegment
from framelens.windows import Piece
from framelens_training import counterfactuals
from framelens_training.config import Windows
from framelens_training.epithets import epithets
from framelens_training.parties import Parties
from framelens_training.targets import (
    LabelledFeatures,
    LabelledWindow,
    SegmentTargets,
    featurize_document,
    labelled_window,
    unsupervised,
)
from framelens_training.typography import Typography

MAX_COMPANY = 8
"""Most lone sentences that are packed together, or neighbours that one is set among."""

Labelled = tuple[TokenizedSegment, SegmentTargets]


@dataclass(frozen=True, slots=True)
class CorpusFeatures:
    """A corpus's training documents and how often they are drawn, against weight 1."""

    documents: Sequence[LabelledFeatures]
    weight: float = 1.0


def tempered(corpora: Sequence[CorpusFeatures], temperature: float) -> list[CorpusFeatures]:
    """Corpora drawn in proportion to their segments to the power of 1 / temperature.

    The number of segments drawn from all of them together stays the same, before their own
    weights, which multiply the result.
    """
    sizes = np.array([sum(len(d.targets) for d in corpus.documents) for corpus in corpora])
    if temperature == 1 or not sizes.any():
        return list(corpora)
    wanted = np.where(sizes > 0, sizes ** (1 / temperature), 0.0)
    factors = wanted * sizes.sum() / wanted.sum() / np.maximum(sizes, 1)
    return [
        replace(corpus, weight=corpus.weight * factor)
        for corpus, factor in zip(corpora, factors.tolist(), strict=True)
    ]


def training_windows(
    corpora: Sequence[CorpusFeatures],
    featurizer: Featurizer,
    config: Windows,
    seed: int,
    epoch: int = 0,
) -> list[LabelledWindow]:
    """All windows of an epoch; the same for the same seed and epoch."""
    generator = np.random.default_rng((seed, epoch))
    articles = [d for corpus in corpora for d in corpus.documents if len(d.targets) > 1]
    typography, parties = Typography(featurizer), Parties(featurizer)
    varied = functools.partial(typography.varied, generator=generator)
    shown: list[list[LabelledFeatures]] = []
    for corpus in corpora:
        drawn = _drawn(corpus, generator)
        made = _counterfactuals(drawn, featurizer, config.counterfactual_share, generator)
        drawn = _changed(drawn, varied, config.typography_share, generator)
        drawn = _changed(drawn, parties.exchanged, config.parties_share, generator)
        shown.append([*drawn, *made])
    shown.append([featurize_document(d, featurizer) for d in epithets(config.epithets, generator)])
    windows: list[LabelledWindow] = []
    for documents in shown:
        for document in documents:
            windows.extend(article_windows(document))
            count = len(document.targets)
            if count > 1:
                picked = np.flatnonzero(generator.random(count) < config.single_share)
                windows.extend(single_windows(document, featurizer, picked.tolist()))
        lone = [document for document in documents if len(document.targets) == 1]
        accompanied = [d for d in lone if generator.random() < config.company_share]
        windows.extend(_company(accompanied, articles, featurizer, generator))
    return windows


def _changed(
    drawn: Sequence[LabelledFeatures],
    change: Callable[[LabelledFeatures], LabelledFeatures],
    share: float,
    generator: np.random.Generator,
) -> list[LabelledFeatures]:
    """The documents, a share of them changed."""
    if not share:
        return list(drawn)
    return [change(item) if generator.random() < share else item for item in drawn]


def _counterfactuals(
    drawn: Sequence[LabelledFeatures],
    featurizer: Featurizer,
    share: float,
    generator: np.random.Generator,
) -> list[LabelledFeatures]:
    """Segments annotated for framing, as what a source says, each a document of its own."""
    if not share:
        return []
    made = []
    for item in drawn:
        for sentence in counterfactuals.outlet_segments(item.document):
            chance = 1.0 if sentence.segments[0].framed else counterfactuals.PLAIN_SHARE
            if generator.random() < share * chance:
                changed = counterfactuals.quoted(sentence, generator)
                made += [changed] if changed else []
    return [featurize_document(document, featurizer) for document in made]


def _drawn(corpus: CorpusFeatures, generator: np.random.Generator) -> list[LabelledFeatures]:
    """Whole copies of the corpus, and for the rest of its weight a random part of it.

    A corpus with a weight has a part in every mixture: of a small one at least one document.
    """
    copies, rest = divmod(corpus.weight, 1.0)
    drawn = list(corpus.documents) * int(copies)
    size = round(rest * len(corpus.documents)) or int(not drawn)
    chosen = sorted(generator.permutation(len(corpus.documents))[:size].tolist())
    return drawn + [corpus.documents[index] for index in chosen]


def article_windows(document: LabelledFeatures) -> list[LabelledWindow]:
    """The windows in which serving reads a document."""
    return [labelled_window(window, document.targets) for window in document.features.windows]


def single_windows(
    document: LabelledFeatures, featurizer: Featurizer, chosen: Sequence[int]
) -> list[LabelledWindow]:
    """One window a chosen segment; a segment longer than a window is left to the article."""
    segments = document.features.segments
    return [
        _lay_out([(segments[index], document.targets[index])], featurizer)
        for index in chosen
        if len(segments[index].ids) <= featurizer.config.max_tokens - 2
    ]


def _company(
    documents: Sequence[LabelledFeatures],
    articles: Sequence[LabelledFeatures],
    featurizer: Featurizer,
    generator: np.random.Generator,
) -> Iterator[LabelledWindow]:
    """Each document's one segment in company: half in packs, half among neighbours."""
    capacity = featurizer.config.max_tokens - 2
    fitting = [d for d in documents if len(d.features.segments[0].ids) <= capacity]
    order = [fitting[index] for index in generator.permutation(len(fitting)).tolist()]
    split = len(order) // 2 if articles else len(order)
    pack: list[Labelled] = []
    wanted = int(generator.integers(2, MAX_COMPANY + 1))
    for document in order[:split]:
        item = _only(document)
        if pack and (len(pack) == wanted or not _fits([*pack, item], featurizer)):
            yield _lay_out(pack, featurizer)
            pack, wanted = [], int(generator.integers(2, MAX_COMPANY + 1))
        pack.append(item)
    if pack:
        yield _lay_out(pack, featurizer)
    for document in order[split:]:
        article = articles[int(generator.integers(len(articles)))]
        yield _lay_out(_among(_only(document), article, featurizer, generator), featurizer)


def _only(document: LabelledFeatures) -> Labelled:
    return document.features.segments[0], document.targets[0]


def _among(
    item: Labelled,
    article: LabelledFeatures,
    featurizer: Featurizer,
    generator: np.random.Generator,
) -> list[Labelled]:
    """A segment set among a stretch of an article whose own labels are withheld."""
    body = [segment for segment in article.features.segments if segment.role == "body"]
    size = int(generator.integers(1, MAX_COMPANY + 1))
    start = int(generator.integers(max(len(body) - size, 0) + 1))
    neighbours = [(segment, unsupervised(segment)) for segment in body[start : start + size]]
    while neighbours and not _fits([item, *neighbours], featurizer):
        neighbours.pop()
    place = 0 if item[0].role == "headline" else int(generator.integers(len(neighbours) + 1))
    return [*neighbours[:place], item, *neighbours[place:]]


def _fits(items: Sequence[Labelled], featurizer: Featurizer) -> bool:
    return 1 + sum(len(segment.ids) + 1 for segment, _ in items) <= featurizer.config.max_tokens


def _lay_out(items: Sequence[Labelled], featurizer: Featurizer) -> LabelledWindow:
    segments = [segment for segment, _ in items]
    pieces = [Piece(index, 0, len(segment.ids)) for index, segment in enumerate(segments)]
    return labelled_window(featurizer.window(pieces, segments), [target for _, target in items])
