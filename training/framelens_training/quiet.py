"""A terminal without the chatter of libraries."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep the exporters' and the Trainer's chatter out of a person's terminal."""
    names = (
        "torch.onnx",
        "onnxscript",
        "onnx_ir",
        "transformers",
        "mlflow",
        "alembic",
        "httpx",
        "urllib3",
    )
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    if "transformers" in sys.modules:  # it takes seconds to import
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
