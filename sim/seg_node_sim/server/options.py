"""Options of the server."""

from __future__ import annotations

from dataclasses import dataclass

from seg_node.errors import ConfigError


@dataclass(frozen=True)
class ServerOptions:
    """What `run_server` needs.

    port: control channel; the streams take port + 1 where it is free.  fps: ticks per second of
    the asynchronous mode.  announce: CARLA version to present; sensor ids follow it.
    seed: of sensor noise.  preload: build the renderer before answering, not at the first camera.
    exit_with_parent: a server process of ours ends when the process that started it is gone.
    """

    host: str = '127.0.0.1'
    port: int = 2000
    town: str = 'Highway'
    fps: float = 30.0
    announce: str = '0.9.16'
    seed: int = 0
    preload: bool = True
    exit_with_parent: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65534:
            raise ConfigError(f'port: expected 1 to 65534, got {self.port}')
        if not 0.1 <= self.fps <= 1000.0:
            raise ConfigError(f'fps: expected 0.1 to 1000, got {self.fps:g}')
        if self.seed < 0:
            raise ConfigError(f'seed: expected 0 or more, got {self.seed}')
