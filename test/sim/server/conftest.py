"""Client processes and server processes for the tests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seg_node_sim.server import RunningServer, ServerOptions, start_server_process

_SCENARIOS = Path(__file__).with_name('scenarios') / 'run.py'


def scenario_command(name: str, port: int, **arguments: Any) -> list[str]:
    """The command that runs one scenario of `scenarios/`."""
    return [sys.executable, str(_SCENARIOS), name, str(port), json.dumps(arguments)]


@pytest.fixture(scope='session')
def start_scenario() -> Callable[..., subprocess.Popen[str]]:
    """Starts a scenario and leaves it running; its first line of output can be read."""

    def start(name: str, port: int, **arguments: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            scenario_command(name, port, **arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    return start


@pytest.fixture(scope='session')
def run_scenario() -> Callable[..., dict[str, Any]]:
    """Runs a scenario in a client process and returns what it found."""
    pytest.importorskip('carla')

    def run(name: str, port: int, **arguments: Any) -> dict[str, Any]:
        done = subprocess.run(
            scenario_command(name, port, **arguments),
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )
        assert done.returncode == 0, f'{name}: {done.returncode}\n{done.stdout}\n{done.stderr}'
        return json.loads(done.stdout.strip().splitlines()[-1])

    return run


@pytest.fixture(scope='module')
def server(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """One server for a test module, on the module's own PORT."""
    preload = getattr(request.module, 'PRELOAD', False)
    options = ServerOptions(port=request.module.PORT, preload=preload)
    with start_server_process(options) as running:
        yield running
