"""What a capture consists of: drives, each fixed by its town, weather, seed and rig."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from seg_node_sim.client.drive import DriveRequest
from seg_node_sim.client.frames_ros import SkyDepth
from seg_node_sim.client.rig import CameraKind, CameraSpec, Rig, SpawnPoint, camera_set
from seg_node_sim.client.session import Address
from seg_node_sim.client.weather import parse_weather
from seg_node_sim.scene import Weather

Split = Literal['train', 'val', 'test']
SPLITS: tuple[Split, ...] = ('train', 'val', 'test')
_KINDS: tuple[CameraKind, ...] = ('rgb', 'depth', 'semantic')
_MOST_PER_DRIVE = 25
_FEWEST_DRIVES = 10


class CaptureOptions(BaseModel):
    """Everything that fixes the result; kept in `capture.json` so that a resumed capture is the
    same capture.

    towns: short names, taken in turn. weathers: as `parse_weather` takes them, in turn, or
    `random`. randomize: another camera (height 1.1-2.6 m, 0-12 degrees down, 50-110 degrees wide),
    weather and speed for each drive. every: ticks from one frame to the next. sky_depth: of depth
    images in a bag.
    """

    model_config = ConfigDict(frozen=True, extra='forbid')

    frames: int = Field(ge=1)
    towns: tuple[str, ...] = Field(min_length=1)
    weathers: tuple[str, ...] = ('ClearNoon',)
    seed: int = Field(0, ge=0)
    frames_per_drive: int = Field(0, ge=0)
    every: int = Field(4, ge=1)
    fps: float = Field(10.0, ge=5.0, le=200.0)
    traffic: int = Field(12, ge=0)
    randomize: bool = False
    width: int = Field(640, ge=16, le=8192)
    height: int = Field(360, ge=16, le=8192)
    fov: float = Field(90.0, ge=1.0, le=170.0)
    rig: Rig | None = None
    layout: Literal['ours', 'predecessor', 'both', 'none'] = 'ours'
    classes: Literal[23, 28] = 23
    lane_types: bool = False
    image_format: Literal['jpg', 'png'] = 'jpg'
    jpeg_quality: int = Field(92, ge=1, le=100)
    sky_depth: SkyDepth = 'unknown'
    val: float = Field(0.1, ge=0.0, le=1.0)
    test: float = Field(0.1, ge=0.0, le=1.0)
    val_towns: tuple[str, ...] = ()
    test_towns: tuple[str, ...] = ()

    @property
    def drive_length(self) -> int:
        """Frames a drive: few enough for at least ten drives, so that there is a split."""
        length = min(_MOST_PER_DRIVE, math.ceil(self.frames / _FEWEST_DRIVES))
        return self.frames_per_drive or length


@dataclass(frozen=True)
class DrivePlan:
    """One drive of a capture: `frames` of them, all in one `split`."""

    index: int
    town: str
    split: Split
    frames: int
    weather: Weather
    request: DriveRequest

    @property
    def name(self) -> str:
        """Begins every file name of the drive."""
        return f'{self.town}_{self.index:04d}'

    @property
    def camera(self) -> CameraSpec:
        """The RGB camera that is captured: the rig's first."""
        return self.request.rig.of_kind('rgb')[0]


def plan_drives(options: CaptureOptions, address: Address) -> tuple[DrivePlan, ...]:
    """All drives of a capture; the same for equal options, whatever the server is."""
    drives = []
    left, index = options.frames, 0
    towns = _towns(options)
    while left > 0:
        seed = options.seed * 100_003 + index
        draw = random.Random(f'drive {seed}')
        town = next(towns)
        text = options.weathers[index % len(options.weathers)]
        weather = parse_weather('random' if options.randomize else text, seed) or Weather()
        rig = options.rig or (_random_rig(options, draw) if options.randomize else _rig(options))
        frames = min(left, options.drive_length)
        request = DriveRequest(
            host=address.host,
            port=address.port,
            timeout_s=address.timeout_s,
            rig=rig,
            town=town,
            weather=','.join(f'{k}={v!r}' for k, v in vars(weather).items()),
            seed=seed,
            traffic=draw.randint(options.traffic // 4, 2 * options.traffic)
            if options.randomize
            else options.traffic,
            fps=options.fps,
            fresh=True,
            settle=draw.randint(15, 60) if options.randomize else 20,
            slower_percent=draw.uniform(-10.0, 40.0) if options.randomize else 0.0,
            lane_offset_m=draw.uniform(-0.4, 0.4) if options.randomize else 0.0,
        )
        drives.append(
            DrivePlan(index, town, _split(options, town, index), frames, weather, request)
        )
        left, index = left - frames, index + 1
    return tuple(drives)


def _towns(options: CaptureOptions):  # type: ignore[no-untyped-def]
    """The towns in turn, each round in another order, so that no split has the same ones."""
    draw = random.Random(f'towns {options.seed}')
    while True:
        order = list(options.towns)
        draw.shuffle(order)
        yield from order


def _split(options: CaptureOptions, town: str, index: int) -> Split:
    if town in options.test_towns:
        return 'test'
    if town in options.val_towns:
        return 'val'
    # Spread evenly: the drives at which the running share reaches another whole number.
    if not options.test_towns and _crosses(index, options.test, 0.0):
        return 'test'
    if not options.val_towns and _crosses(index, options.val, 0.5):
        return 'val'
    return 'train'


def _crosses(index: int, share: float, phase: float) -> bool:
    return math.floor((index + 1) * share + phase + 1e-9) > math.floor(
        index * share + phase + 1e-9
    )


def _rig(options: CaptureOptions) -> Rig:
    mount = SpawnPoint(x=1.0, z=1.7, pitch=5.0)
    return Rig(cameras=camera_set(options.width, options.height, options.fov, mount, _KINDS))


def _random_rig(options: CaptureOptions, draw: random.Random) -> Rig:
    height = draw.uniform(1.1, 2.6)
    mount = SpawnPoint(
        # A low camera sits on the bumper: in real CARLA it would see the cabin from inside.
        x=round(draw.uniform(0.3, 1.5) if height > 1.6 else 2.5, 3),
        y=round(draw.uniform(-0.4, 0.4), 3),
        z=round(height, 3),
        pitch=round(draw.uniform(0.0, 12.0), 3),
        yaw=round(draw.uniform(-6.0, 6.0), 3),
        roll=round(draw.gauss(0.0, 0.8), 3),
    )
    fov = round(draw.uniform(50.0, 110.0), 2)
    effects = {
        'noise_stddev': round(draw.uniform(0.0, 6.0), 2),
        'motion_blur_intensity': round(draw.choice((0.0, draw.uniform(0.0, 0.35))), 3),
        'exposure_compensation': round(draw.uniform(-0.5, 0.5), 3),
    }
    return Rig(cameras=camera_set(options.width, options.height, fov, mount, _KINDS, effects))


def drive_file(folder: Path, drive: DrivePlan) -> Path:
    """The record of a finished drive."""
    return folder / 'drives' / f'{drive.name}.jsonl'
