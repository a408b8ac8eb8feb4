"""What a drive's child process and its parent tell each other."""

from __future__ import annotations

from dataclasses import dataclass

from seg_node_sim.client.drive import DriveRequest, VehicleState
from seg_node_sim.scene import CarlaPose


@dataclass(frozen=True)
class DriveOrder:
    """The first message to the child. pace: simulated seconds a second, 0 = as fast as it goes;
    retry_s: how long to try to connect; asynchronous: leave the world running by itself at the
    end, whatever it was found like.
    """

    request: DriveRequest
    slots: int
    pace: float
    retry_s: float
    asynchronous: bool = False


@dataclass(frozen=True)
class Free:
    """To the child: the images in this slot are no longer read."""

    slot: int


@dataclass(frozen=True)
class ChangeWeather:
    """To the child: weather from the next tick on, as `parse_weather` takes it."""

    text: str


@dataclass(frozen=True)
class Stop:
    """To the child: clean up and end."""


@dataclass(frozen=True)
class Said:
    """From the child: a line for the log."""

    text: str


@dataclass(frozen=True)
class Connected:
    """From the child: the server answers; whether its world was found in synchronous mode."""

    synchronous: bool


@dataclass(frozen=True)
class Ready:
    """From the child: the drive begins. town: short map name; xodr: its OpenDRIVE text."""

    server_version: str
    town: str
    xodr: str


@dataclass(frozen=True)
class Ticked:
    """From the child: one frame; its images are in `slot`."""

    slot: int
    frame: int
    elapsed_s: float
    ego: VehicleState
    camera_poses: dict[str, CarlaPose]


@dataclass(frozen=True)
class Failed:
    """From the child: it ends. kind: `config` (no use trying again), `server`, `lost`, or `hangs`
    (the client library does; a new child may do better).
    """

    kind: str
    text: str
