"""The child process of a drive, seen from its parent: started, talked to, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from multiprocessing.connection import Connection
from typing import Any

from seg_node.children import child_environment
from seg_node_sim.client.messages import DriveOrder
from seg_node_sim.client.shared import SharedFrames


class Child:
    """A running worker (worker.py) and what is shared with it."""

    def __init__(self, order: DriveOrder) -> None:
        self.frames = SharedFrames(order.request.rig, order.slots)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        ours, theirs = socket.socketpair()
        with theirs:
            handed = (theirs.fileno(), self.frames.descriptor)
            numbers = (*handed, os.getpid())
            self.process = subprocess.Popen(
                [sys.executable, '-m', 'seg_node_sim.client.worker', *map(str, numbers)],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env=child_environment(),
                pass_fds=handed,
                start_new_session=True,  # a Ctrl-C in the terminal is ours to pass on
            )
        self.connection: Any = Connection(ours.detach())
        self.send(order)

    def send(self, message: Any) -> None:
        """Send a message, unless the child is gone."""
        with contextlib.suppress(OSError):
            self.connection.send(message)

    def kill(self) -> None:
        """End it at once: where it has nothing to clean up, or does not come to it."""
        self.process.kill()
        self.process.wait()

    def epitaph(self) -> str:
        """How it ended and what it said last; waits for its end."""
        status = self.process.wait()
        said = os.pread(self._log.fileno(), 1 << 16, 0).decode(errors='replace').strip()
        last = said.splitlines()[-1] if said else 'nothing'
        how = signal.Signals(-status).name if status < 0 else f'status {status}'
        return f'the client ended with {how}, saying {last}'

    def close(self) -> None:
        """Give back what it held; after its end."""
        self.connection.close()
        self._log.close()
        self.frames.close_descriptor()
