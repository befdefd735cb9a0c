"""Where a report's articles come from: rows that were scored before, or articles to score now."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from framelens.artifact import Artifact, resolve
from framelens.deferral import Deferral
from framelens.documents import document_of
from framelens.errors import ArtifactError
from framelens.in_order import in_order
from framelens.limits import Limits
from framelens.model_settings import DecodingConfig
from framelens.progress import Progress, Tally
from framelens.reading import Position, read_records
from framelens.records import FieldNames, Record
from framelens.report.article import Article, article_of
from framelens.report.scored import is_scored, read_scored
from framelens.rows import table_row
from framelens.schema import ModelInfo
from framelens.workers import Settings


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """How the inputs are read and scored."""

    model: str | None = None
    deferral: Deferral | None = None
    fields: FieldNames = field(default_factory=FieldNames)
    outlet_field: str = "outlet"
    date_field: str = "date"
    limits: Limits = field(default_factory=Limits)
    workers: int = 1
    quiet: bool = False


class Source:
    """The articles of some inputs, and what is known of the models that scored them."""

    def __init__(self, names: Sequence[str], options: ReportOptions) -> None:
        """Look at the inputs and, if there is something to score, open the model.

        Raises:
            InputError: if an input cannot be read.
            ArtifactError: if a model is named, or needed, and cannot be used.
        """
        self._options = options
        self._groups = [(scored, list(group)) for scored, group in groupby(names, key=is_scored)]
        self._artifact: Artifact | None = None
        needed = options.model is not None or any(not scored for scored, _ in self._groups)
        # For scored rows a model is only asked for its thresholds, which may stay unknown.
        with contextlib.nullcontext() if needed else contextlib.suppress(ArtifactError):
            self._artifact = Artifact.open(resolve(options.model))

    def decoding(self, model: ModelInfo) -> DecodingConfig | None:
        """The thresholds of a model, if it is one of those at hand."""
        second = self._options.deferral
        for artifact in (self._artifact, None if second is None else second.artifact):
            if artifact is not None and artifact.info == model:
                return artifact.manifest.decoding
        return None

    def __iter__(self) -> Iterator[Article]:
        """All articles in input order, one in memory at a time."""
        for scored, names in self._groups:
            if scored:
                for name in names:
                    yield from self._read(name)
            else:
                yield from self._score(names)

    def _read(self, name: str) -> Iterator[Article]:
        options = self._options
        for document, columns in read_scored(name):
            yield article_of(
                document,
                None,
                columns,
                outlet_field=options.outlet_field,
                date_field=options.date_field,
            )

    def _score(self, names: Sequence[str]) -> Iterator[Article]:
        assert self._artifact is not None
        options, position, tally = self._options, Position(), Tally()
        settings = Settings(
            self._artifact.path.resolve(),
            self._artifact.info,
            options.limits,
            deferral=options.deferral,
        )
        progress = Progress(quiet=options.quiet)
        records = read_records(names, options.fields, keep="json", position=position)
        with in_order(
            records,
            settings,
            options.workers,
            tick=lambda: progress.tick(tally, position.fraction),
        ) as answers:
            for record, answer in answers:
                tally.add(answer)
                yield self._article(record, answer.body)
        progress.finish(tally)

    def _article(self, record: Record, body: str) -> Article:
        text = None if record.row is None else record.row.get("text")
        return article_of(
            document_of(table_row(record.id, body, None)),
            text if isinstance(text, str) else None,
            {} if record.kept is None else json.loads(record.kept),
            outlet_field=self._options.outlet_field,
            date_field=self._options.date_field,
        )
