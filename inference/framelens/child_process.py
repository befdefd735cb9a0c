"""A process that runs one function of this package, and the connection to it."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from typing import Any

_CODE = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = sys.argv[2:]; "
    f"from {__name__} import run_child; run_child(int(sys.argv[1]))"
)
"""An interrupt from the keyboard reaches the whole group; what it means is the parent's to say."""


class ChildProcess:
    """A new interpreter in which `function(connection, argument)` runs.

    It is started by hand where a process can be given an open socket. What `multiprocessing`
    starts runs the main script of the program a second time, which a script without `if __name__ ==
    "__main__"` does not survive, and is watched by a third process; docs/decisions.md has the time.
    """

    def __init__(self, function: str, argument: object) -> None:
        """Start it; `function` is a name such as `package.module:function`.

        Raises:
            OSError: if the system starts no further process.
        """
        self._process: subprocess.Popen[bytes] | multiprocessing.process.BaseProcess
        self.connection: Connection[Any, Any]
        if os.name == "posix":
            ours, theirs = socket.socketpair()
            with theirs, ours:
                # -P: before it has our path, it imports nothing that lies in the current directory.
                self._process = subprocess.Popen(  # noqa: S603 - this interpreter, and nothing given
                    [sys.executable, "-P", "-c", _CODE, str(theirs.fileno()), *map(str, sys.path)],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                )
                self.connection = Connection(ours.detach())
            with contextlib.suppress(OSError):  # it has died, which reading will show
                self.connection.send((function, argument))
        else:
            context = multiprocessing.get_context("spawn")
            self.connection, end = context.Pipe()
            self._process = context.Process(
                target=_call, args=(end, function, argument), daemon=True
            )
            self._process.start()
            end.close()

    @property
    def pid(self) -> int:
        """Its number in the system."""
        pid = self._process.pid
        assert pid is not None  # it was started
        return pid

    def kill(self) -> int | None:
        """End it at once; the exit code, negative for the signal that ended it."""
        self._process.kill()
        if isinstance(self._process, subprocess.Popen):
            return self._process.wait()
        self._process.join()
        return self._process.exitcode


def run_child(descriptor: int) -> None:
    """What the new interpreter does: the work that it is sent first."""
    connection: Connection[Any, Any] = Connection(descriptor)
    with contextlib.suppress(EOFError):  # the parent is gone already
        function, argument = connection.recv()
        _call(connection, function, argument)


def _call(connection: Connection[Any, Any], function: str, argument: object) -> None:
    module, _, name = function.partition(":")
    getattr(importlib.import_module(module), name)(connection, argument)
