"""The model as MLflow serves it, kept as code: this file is copied beside the artifact.

It needs `framelens` and nothing of the training harness. One row in, one row out:

    text, headline, id  ->  id, status, error, segments, sourced, framed, plain, sources, document

`document` is the whole answer as JSON, as `framelens score` writes it; the others are its
summary. The parameter `unit` is `article` or `segment`.
"""

from __future__ import annotations

from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel

import framelens
from framelens.rows import SURROGATES, dumps

FIELDS = ("text", "headline", "id")
COLUMNS = (
    "id", "status", "error", "segments", "sourced", "framed", "plain", "sources", "document",
)  # fmt: skip


class FramelensModel(PythonModel):
    """Scores a DataFrame with the artifact that was logged beside this file."""

    def load_context(self, context: Any) -> None:
        """Open the artifact, and check it with its golden inputs."""
        self.scorer = framelens.load(context.artifacts["model"])

    def predict(  # MLflow gives the context
        self,
        context: Any,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """One row a document, in order; a bad row has the status `error`.

        Raises:
            ValueError: if the parameter `unit` is neither `article` nor `segment`.
        """
        unit = (params or {}).get("unit", "article")
        if unit not in ("article", "segment"):
            raise ValueError(f"expected the parameter unit to be article or segment, found {unit}")
        rows = []
        for number, row in enumerate(model_input.to_dict("records")):
            record = {name: row[name] for name in FIELDS if _present(row.get(name))}
            document = self.scorer.score_record(record, default_id=str(number), unit=unit)
            answer, error = document.to_dict(), document.error
            summary = answer.get("summary") or {}
            rows.append(
                {
                    "id": document.id.translate(SURROGATES),
                    "status": document.status,
                    "error": error and error.message.translate(SURROGATES),
                    "segments": int(summary.get("segments", 0)),
                    "sourced": float(summary.get("sourced", 0.0)),
                    "framed": float(summary.get("framed", 0.0)),
                    "plain": float(summary.get("plain", 0.0)),
                    "sources": int(summary.get("sources", 0)),
                    "document": dumps(answer),
                }
            )
        found = pd.DataFrame(rows, columns=COLUMNS)
        # Otherwise pandas writes NaN for None beside a text.
        found["error"] = pd.Series([row["error"] for row in rows], dtype=object)
        return found


def _present(value: object) -> bool:
    """Whether a cell holds something: pandas has NaN and None where a text is missing."""
    return value is not None and value == value


mlflow.models.set_model(FramelensModel())
