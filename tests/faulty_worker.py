"""A worker that hangs or dies over certain texts; in a module that a new process can import."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import Any

from framelens import workers


def serve(connection: Any, settings: workers.Settings) -> None:
    """Serve as a worker does, with a weakness."""
    read_job = workers.read_job

    def faulty(scorer: Any, job: workers.Job, settings: workers.Settings) -> Any:
        text = (job.row or {}).get("text")
        if text == "hang":
            time.sleep(3600)
        if text == "runaway":  # holds the interpreter's lock, as no sleep does
            re.match(r"(a+)+$", "a" * 60 + "b")
        if text == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "fault":
            raise AssertionError("as if a library had failed")
        return read_job(scorer, job, settings)

    def guarded(scorer: Any, job: workers.Job, settings: workers.Settings) -> Any:
        try:
            return faulty(scorer, job, settings)
        except AssertionError:
            scorer.read_record = _broken
            try:
                return read_job(scorer, job, settings)
            finally:
                del scorer.read_record

    workers.read_job = guarded
    workers.serve(connection, settings)


def _broken(*_: object, **__: object) -> None:
    raise AssertionError("as if a library had failed")
