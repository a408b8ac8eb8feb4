"""Where the entities go: a file, a browser on this machine, or Rerun's window."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import rerun as rr
import rerun_cli

from seg_node.errors import InputError, last_line
from seg_node.files import write_atomic
from seg_node.view.entities import APPLICATION

LOOPBACK = '127.0.0.1'
_START_S = 30.0


@contextlib.contextmanager
def recording_file(path: Path, layout: Any) -> Iterator[Any]:
    """A recording into FILE.rrd, which appears whole when the block ends well."""
    if path.suffix != '.rrd':
        raise InputError(f'{path}: expected a name that ends in .rrd')
    with write_atomic(path) as temporary:
        recording = rr.RecordingStream(APPLICATION)
        recording.save(temporary, default_blueprint=layout)
        try:
            yield recording
        finally:
            recording.flush()
            recording.disconnect()


@contextlib.contextmanager
def viewer(layout: Any, web_port: int | None = None) -> Iterator[tuple[Any, Viewer]]:
    """A recording into a viewer that this process starts, and the viewer.

    web_port: of the page for a browser, on the loopback interface; None: a window. Raises
    `InputError` when the viewer does not come up. It ends with the block.
    """
    port = _free_port()
    arguments = ['--bind', LOOPBACK, '--port', str(port)]
    page, waited = '', [port]
    url = f'rerun+http://{LOOPBACK}:{port}/proxy'
    if web_port is None:
        arguments.append('--expect-data-soon')
    else:
        arguments += ['--serve-web', '--web-viewer-port', str(web_port)]
        page = f'http://{LOOPBACK}:{web_port}?url={quote(url, safe="")}'
        waited.append(web_port)
        if _answers(web_port):
            raise InputError(f'viewer: port {web_port} is taken (--web-port takes another)')
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [_program(), *arguments], stdout=subprocess.DEVNULL, stderr=said
        )
        try:
            for each in waited:
                _wait_for(process, said, each)
            recording = rr.RecordingStream(APPLICATION)
            recording.connect_grpc(url, default_blueprint=layout)
            try:
                yield recording, Viewer(process, page)
            finally:
                recording.disconnect()
        finally:
            process.terminate()
            process.wait()


@dataclass(frozen=True)
class Viewer:
    """A viewer's process; `page` is its address for a browser, '' for a window."""

    process: subprocess.Popen[bytes]
    page: str

    def wait(self) -> None:
        """Until it is closed."""
        self.process.wait()


def _program() -> str:
    folder = Path(rerun_cli.__file__).parent
    places = (folder, folder / 'Rerun.app' / 'Contents' / 'MacOS')
    program = shutil.which('rerun', path=os.pathsep.join(map(str, places)))
    if program is None:
        raise InputError(f"viewer: expected Rerun's program in {folder}")
    return program


def _wait_for(process: subprocess.Popen[bytes], said: IO[bytes], port: int) -> None:
    """Until somebody listens at `port`. Raises `InputError` when nobody comes to."""
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            said.seek(0)
            text = said.read().decode('utf-8', 'replace')
            reason = last_line(text) or f'exit status {process.returncode}'
            raise InputError(f'viewer: ended at once: {reason} (--save FILE.rrd needs none)')
        if _answers(port):
            return
        time.sleep(0.05)
    raise InputError(f'viewer: expected it at port {port} within {_START_S:.0f} s')


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), 1.0):
            return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
