"""A connection to a CARLA server: towns, weather, synchronous mode, and everything given back."""

from __future__ import annotations

import contextlib
import math
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from seg_node.errors import ConfigError, first_line
from seg_node_sim.client.carla_api import require_carla
from seg_node_sim.client.errors import ServerError
from seg_node_sim.client.tick_watch import TickWatch
from seg_node_sim.scene import Weather

LOAD_TIMEOUT_S = 180.0
"""Seconds that a real server may take to load a town."""
_RETRY_S = 0.3


@dataclass(frozen=True)
class Address:
    """Where a server listens, and how long one call may take (seconds)."""

    host: str = '127.0.0.1'
    port: int = 2000
    timeout_s: float = 10.0

    def __str__(self) -> str:
        return f'{self.host}:{self.port}'


@dataclass
class Session:
    """One client of one server. Close it, whatever happens: use it in a `with` block."""

    address: Address
    client: Any
    world: Any
    server_version: str
    watch: TickWatch | None = None
    _found: Any = None
    _timeout_s: float = 0.0

    @classmethod
    def connect(
        cls,
        address: Address,
        retry_s: float = 0.0,
        worker_threads: int = 0,
        say: Callable[[str], None] = lambda _: None,
        pulse: Callable[[], None] = lambda: None,
    ) -> Session:
        """Connect, trying again for `retry_s` seconds. Raises `ServerError` with one line.

        `worker_threads` must exceed the number of cameras that are listened to, else their
        callbacks and a call that holds Python's lock wait for each other. `pulse` is called while
        waiting; what it raises ends the waiting.
        """
        require_carla()  # told before anybody waits
        deadline = time.monotonic() + retry_s
        _wait_for_port(address, deadline, say, pulse)
        client, version, world = _wait_for_answer(
            address, deadline, max(retry_s, address.timeout_s), worker_threads, pulse
        )
        if version != client.get_client_version():
            say(
                f'server {address} is CARLA {version}, the client {client.get_client_version()}: '
                'install the client of the same version if calls fail'
            )
        return cls(address, client, world, version, _found=world.get_settings())

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def town(self) -> str:
        """Short name of the loaded map."""
        return str(self.world.get_map().name).rsplit('/', 1)[-1]

    @property
    def found_synchronous(self) -> bool:
        """Whether the world was in synchronous mode at first, and will be so again."""
        return bool(self._found.synchronous_mode)

    def towns(self) -> list[str]:
        """Short names of the maps that the server has."""
        return sorted({str(name).rsplit('/', 1)[-1] for name in self.client.get_available_maps()})

    def enter_town(self, town: str = '', fresh: bool = False) -> None:
        """Load a town by its short name; '' keeps the present one.

        `fresh` loads even the present one anew, which removes every actor in it. In synchronous
        mode the new town begins at time 0 and stands still until the next tick. No Traffic
        Manager of this process may be alive. Raises `ConfigError` for a name the server has not.
        """
        short = town.rsplit('/', 1)[-1]
        if short in ('', self.town) and not fresh:
            return
        if short and short not in self.towns():
            raise ConfigError(
                f'town {town!r}: expected one that {self.address} has: {", ".join(self.towns())}'
            )
        with self.patience():
            if short in ('', self.town):
                self.world = self._call(self.client.reload_world, False)
            else:
                self.world = self._call(self.client.load_world, short, False)

    def set_weather(self, weather: Weather) -> None:
        """Change the weather from the next tick on."""
        carla = require_carla()
        parameters = carla.WeatherParameters()
        for name, value in zip(weather.__dataclass_fields__, weather.values()):
            setattr(parameters, name, value)
        self._call(self.world.set_weather, parameters)

    def tick(self, timeout_s: float) -> int:
        """One step of the world; its frame. Raises `RuntimeError` after `timeout_s`.

        Watched while a Traffic Manager takes part (`watch`).
        """
        with contextlib.nullcontext() if self.watch is None else self.watch.over(self.world):
            return int(self.world.tick(timeout_s))

    def begin_synchronous(self, delta_s: float) -> None:
        """From now on the world moves only on `tick`, by `delta_s` seconds each."""
        settings = self.world.get_settings()
        settings.synchronous_mode = True
        settings.no_rendering_mode = False
        settings.fixed_delta_seconds = delta_s
        # CARLA's physics must fit into its substeps: delta <= max_substep_delta * max_substeps.
        settings.substepping = True
        settings.max_substep_delta_time = 0.01
        settings.max_substeps = max(10, math.ceil(delta_s / 0.01))
        self._call(self.world.apply_settings, settings, LOAD_TIMEOUT_S)

    def leave_asynchronous(self) -> None:
        """On `close` the world is left running by itself, whatever was found at first.

        For worlds that a client of ours has left standing still.
        """
        self._found.synchronous_mode = False
        self._found.fixed_delta_seconds = None

    def close(self) -> None:
        """Give back the settings that were found at the start."""
        if self._found is None:
            return
        settings, self._found = self._found, None
        with contextlib.suppress(RuntimeError):
            self.world.apply_settings(settings, self.address.timeout_s)

    @contextlib.contextmanager
    def patience(self) -> Iterator[None]:
        """Allow calls to take as long as loading a town and building its pictures may take."""
        before, self._timeout_s = self._timeout_s, LOAD_TIMEOUT_S
        self.client.set_timeout(self._timeout_s)
        try:
            yield
        finally:
            self._timeout_s = before or self.address.timeout_s
            self.client.set_timeout(self._timeout_s)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except RuntimeError as error:
            raise ServerError(f'server {self.address}: {first_line(error)}') from None


def _wait_for_port(
    address: Address, deadline: float, say: Callable[[str], None], pulse: Callable[[], None]
) -> None:
    # The CARLA library notices only at its full time-out that nobody listens.
    waiting = False
    while True:
        try:
            socket.create_connection((address.host, address.port), address.timeout_s).close()
            return
        except OSError as error:
            reason = error.strerror or str(error)
            if time.monotonic() >= deadline:
                raise ServerError(f'no CARLA server on {address}: {reason}') from None
        if not waiting:
            say(f'waiting for a CARLA server on {address} ({reason})')
            waiting = True
        pulse()
        time.sleep(_RETRY_S)


def _wait_for_answer(
    address: Address, deadline: float, tried_s: float, threads: int, pulse: Callable[[], None]
) -> tuple[Any, str, Any]:
    """Client, version of the server, its world."""
    carla = require_carla()
    while True:
        try:
            client = carla.Client(address.host, address.port, threads)
            client.set_timeout(address.timeout_s)
            return client, client.get_server_version(), client.get_world()
        except RuntimeError as error:
            if time.monotonic() >= deadline:
                raise ServerError(
                    f'no CARLA server answers on {address} within {tried_s:g} s '
                    f'({first_line(error)})'
                ) from None
        pulse()
        time.sleep(_RETRY_S)
