"""Start the server as a process of its own, wait until it answers, end it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

import msgpack

from seg_node.children import Patience, child_environment
from seg_node.errors import ConfigError
from seg_node_sim.server.options import ServerOptions
from seg_node_sim.server.plain_client import PlainClient

_START_TIMEOUT_S = 180.0  # of work: the first start compiles the renderer
_STOP_TIMEOUT_S = 10.0


@dataclass
class RunningServer:
    """A server process that answers. `log` has what it said."""

    options: ServerOptions
    process: subprocess.Popen[bytes]
    log: IO[bytes] = field(repr=False)

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self.process.pid

    def text(self) -> str:
        """Everything the server has printed so far."""
        return _read(self.log)

    def stop(self) -> int:
        """SIGTERM, then SIGKILL when that does not help; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


def ask_version(host: str, port: int, timeout_s: float = 2.0) -> str:
    """Version that a server (this one or CARLA) announces.

    Raises OSError when nobody answers, or when what answers is no CARLA server.
    """
    with PlainClient(port, host, timeout_s) as client:
        try:
            ((good, version),) = client.call('version')
        except (TypeError, ValueError, msgpack.UnpackException) as error:
            raise ConnectionError(f'{host}:{port} is not a CARLA server: {error}') from None
    if good != 1 or not isinstance(version, str):
        raise ConnectionError(f'{host}:{port} is not a CARLA server')
    return version


def command_line(options: ServerOptions) -> list[str]:
    """The command that starts a server with these options."""
    return [
        sys.executable,
        '-m',
        'seg_node_sim.server',
        *(f'--host={options.host}', f'--port={options.port}', f'--town={options.town}'),
        *(f'--fps={options.fps}', f'--announce={options.announce}', f'--seed={options.seed}'),
        *([] if options.preload else ['--no-preload']),
        *([f'--exit-with-parent={os.getpid()}'] if options.exit_with_parent else []),
    ]


@contextlib.contextmanager
def start_server_process(
    options: ServerOptions, timeout_s: float = _START_TIMEOUT_S
) -> Iterator[RunningServer]:
    """A server process for the time of a `with` block.

    Raises ConfigError, with what the server said, when it ends or does not answer in time.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command_line(options),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=child_environment(),
            start_new_session=True,  # a Ctrl-C in the terminal is ours to pass on
        )
        server = RunningServer(options, process, log)
        try:
            _wait_until_it_answers(server, timeout_s)
            yield server
        finally:
            server.stop()


def _wait_until_it_answers(server: RunningServer, timeout_s: float) -> None:
    options = server.options
    patience = Patience(server.pid, timeout_s)
    while not patience.over:
        if server.process.poll() is not None:
            said = server.text().strip().splitlines() or ['nothing']
            raise ConfigError(f'the server ended with {server.process.returncode}: {said[-1]}')
        # Somebody else's server on this port must not pass for ours, so wait for its word.
        if 'protocol on' in server.text():
            with contextlib.suppress(OSError):
                ask_version(options.host, options.port)
                return
        time.sleep(0.05)
    raise ConfigError(
        f'the server on {options.host}:{options.port} did not answer within {timeout_s:g} s'
    )


def _read(log: IO[bytes]) -> str:
    return os.pread(log.fileno(), 1 << 20, 0).decode(errors='replace')
