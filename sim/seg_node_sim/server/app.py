"""The server process: sockets in one thread, the world in the main thread."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import os
import queue
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

from seg_node.errors import ConfigError, SegNodeError
from seg_node.tuning import tune_allocator
from seg_node_sim.server.actor_calls import ActorCalls
from seg_node_sim.server.batch import BatchRunner
from seg_node_sim.server.dispatch import Dispatcher
from seg_node_sim.server.episode_calls import (
    EpisodeCalls,
    Pacer,
    TickCalls,
    TrafficManagerRegister,
)
from seg_node_sim.server.limits import Budget, Limits, Notices
from seg_node_sim.server.net import Connection, Reactor
from seg_node_sim.server.options import ServerOptions
from seg_node_sim.server.rpc import RawRequest, RpcChannel, plain
from seg_node_sim.server.streams import StreamHub
from seg_node_sim.server.versions import sensor_ids
from seg_node_sim.server.wire import EpisodeSettings
from seg_node_sim.server.world import World

_LOG = logging.getLogger(__name__)
_GRACE_S = 2.0
_GRACE_LOOK_S = 0.02
_SILENCE_S = 5.0  # a start that takes longer says why
_IDLE_S = 1.0  # how often an idle server looks whether its parent still lives


class Server:
    """Owns the sockets, the world and the loop between them."""

    def __init__(self, options: ServerOptions, limits: Limits | None = None) -> None:
        self._options = options
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._limits = limits or Limits()
        self._reactor = Reactor(self._limits)
        self._held = Budget(self._limits.held_bytes)
        self._unsent = Budget(self._limits.all_unsent_bytes)
        self._notices = Notices(_LOG)
        self._pacer = Pacer(options.fps)
        self._managers = TrafficManagerRegister()
        self._stopping = False
        self._serving = False
        self._clients: set[Connection] = set()
        self._grace_until: float | None = None

    def open(self) -> None:
        """Bind the ports and enter the town; ConfigError or InputError when that cannot be."""
        options = self._options
        ids = sensor_ids(options.announce)
        hub = self._hub = StreamHub(self._limits.finish_s)
        # Both ports before the town: a port in use is said at once.
        port = _listen(self._reactor, options.host, options.port, self._accept)
        hub.port = _listen_stream(self._reactor, options.host, port + 1, hub.accept)
        self._world = World(options.town, hub, ids, options.seed, options.preload)
        if not self._world.wait_for_renderer(_SILENCE_S):
            _say('compiling the renderer, as the first start after an installation does …')
            self._world.wait_for_renderer()
        episode = EpisodeCalls(self._world, hub, self._pacer, options.announce, self._managers)
        actors = ActorCalls(self._world)
        batch = TickCalls(episode, BatchRunner(actors).apply)
        self._dispatcher = Dispatcher([episode, actors, batch, self._managers])

    def run(self) -> None:
        """Serve until `stop`."""
        self._serving = True
        self._world.tick(1.0 / self._options.fps)
        self._reactor.start()
        _say(
            f'CARLA {self._options.announce} protocol on {self._options.host}:'
            f'{self._options.port}, town {self._world.town.name}'
        )
        if not _is_loopback(self._options.host):
            _say(f'{self._options.host}: anyone who reaches this port can command the server')
        try:
            while not self._done():
                self._turn()
        finally:
            self._reactor.stop()
            self._world.close()

    def stop(self) -> None:
        """End the loop; for signal handlers."""
        if not self._serving:  # still building the town: nothing to clean up yet
            os._exit(0)
        self._stopping = True
        self._queue.put(None)

    def stop_after_clients(self) -> None:
        """End the loop once the clients have gone, or soon; at once when asked again.

        Ctrl-C in a terminal or under ros2 launch reaches server and clients alike, and clients
        want to take what they spawned out of the world.
        """
        if not self._serving or self._grace_until is not None:
            self.stop()
            return
        self._grace_until = time.monotonic() + _GRACE_S
        self._queue.put(None)

    def _done(self) -> bool:
        if self._grace_until is None:
            return self._stopping
        return self._stopping or not self._clients or time.monotonic() > self._grace_until

    def _turn(self) -> None:
        settings = self._world.settings
        wait = _IDLE_S if settings.synchronous_mode else self._pacer.due_in()
        if self._grace_until is not None:
            wait = min(wait, _GRACE_LOOK_S)
        try:
            item = self._queue.get(timeout=wait) if wait > 0.0 else self._queue.get_nowait()
        except queue.Empty:
            item = None
        # Serve what has come before the next tick, but never starve the clock.
        until = time.monotonic() + 0.02
        while item is not None:
            self._handle(item)
            if time.monotonic() > until:
                break
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
        settings = self._world.settings
        if not settings.synchronous_mode and self._pacer.due_in() <= 0.0:
            self._tick(settings)

    def _tick(self, settings: EpisodeSettings) -> None:
        try:
            self._world.tick(self._pacer.step(settings))
        except Exception as error:
            # Other clients, and other cameras, must not lose their world for one bad picture.
            self._notices.warn(
                f'tick {type(error).__name__}',
                f'error in frame {self._world.frame}: {error}',
                trace=True,
            )

    def _handle(self, item: RawRequest | Connection) -> None:
        if isinstance(item, Connection):
            self._managers.forget(item)
            self._hub.forget(item)
            self._clients.discard(item)
            return
        try:
            self._serve(item)
        except Exception as error:
            # One client's request must not end the world of all others.
            self._notices.warn(type(error).__name__, f'error in a request: {error}', trace=True)
            item.channel.connection.refuse('its request could not be dealt with')
        finally:
            item.done()

    def _serve(self, item: RawRequest) -> None:
        connection = item.channel.connection
        if connection.refused:
            return
        try:
            request = item.parse()
        except Exception as error:
            # There is no id to answer to: the connection is all that can be ended.
            connection.refuse(f'not msgpack-rpc: {plain(str(error))}')
            return
        self._managers.caller = connection
        self._hub.caller = connection
        self._dispatcher.handle(request)

    def _accept(self, connection: Connection) -> None:
        self._clients.add(connection)
        connection.limit_unsent(self._limits.unsent_bytes, self._unsent)
        channel = RpcChannel(connection, self._queue, self._limits, self._held)

        def closed() -> None:
            channel.closed()
            self._queue.put(connection)

        connection.on_close = closed


def serve(options: ServerOptions) -> int:
    """See `run_server`."""
    logging.basicConfig(level=logging.INFO, format='%(levelname)s %(name)s: %(message)s')
    _tune_process()
    server = Server(options)
    with _stopped_by_signals(server):
        try:
            server.open()
        except SegNodeError as error:
            print(f'error: {error}', file=sys.stderr)
            return 1
        server.run()
    return 0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'


def _say(text: str) -> None:
    print(text, flush=True)


def _listen(reactor: Reactor, host: str, port: int, accept: Any) -> int:
    try:
        return reactor.listen(host, port, accept)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(f'port {port} on {host} is in use: choose another port') from error
        raise ConfigError(f'cannot listen on {host}:{port}: {error}') from error


def _listen_stream(reactor: Reactor, host: str, port: int, accept: Any) -> int:
    # The token carries the port, so any free one will do where the usual one is taken.
    try:
        return reactor.listen(host, port, accept)
    except OSError:
        return _listen(reactor, host, 0, accept)


@contextlib.contextmanager
def _stopped_by_signals(server: Server) -> Iterator[None]:
    signal.signal(signal.SIGINT, lambda *_: server.stop_after_clients())
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    try:
        yield
    finally:
        # A second Ctrl-C while sockets are being closed must not turn into a traceback.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def _tune_process() -> None:
    """Settings of the whole process: it exists for this server alone."""
    # The socket thread must not wait 5 ms for the interpreter's lock.
    sys.setswitchinterval(5e-4)
    # Keep freed image buffers instead of giving them back to the kernel each frame.
    tune_allocator()
