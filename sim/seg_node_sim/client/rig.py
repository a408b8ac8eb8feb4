"""A vehicle and its cameras, read from a file in the form of ros-bridge's `objects.json`.

`spawn_point` is in ROS's axes, as ros-bridge has it: metres and degrees, y to the left, pitch
positive downwards, yaw positive to the left.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from seg_node.errors import ConfigError, problems_line, validation_problems
from seg_node.rig_file import read_rig, rig_objects
from seg_node_sim.client.axes import from_ros_degrees
from seg_node_sim.scene import CarlaPose

CameraKind = Literal['rgb', 'depth', 'semantic', 'instance']
KINDS: dict[str, CameraKind] = {
    'sensor.camera.rgb': 'rgb',
    'sensor.camera.depth': 'depth',
    'sensor.camera.semantic_segmentation': 'semantic',
    'sensor.camera.instance_segmentation': 'instance',
}
BLUEPRINTS = {kind: blueprint for blueprint, kind in KINDS.items()}

_Number = Annotated[float, Field(allow_inf_nan=False)]
_Name = Annotated[str, Field(pattern=r'^[A-Za-z][A-Za-z0-9_]*$', max_length=64)]


class SpawnPoint(BaseModel):
    """Where a thing stands: metres and degrees in ROS's axes."""

    model_config = ConfigDict(frozen=True, extra='forbid')

    x: _Number = 0.0
    y: _Number = 0.0
    z: _Number = 0.0
    roll: _Number = 0.0
    pitch: _Number = 0.0
    yaw: _Number = 0.0

    def pose(self) -> CarlaPose:
        """The same in CARLA's axes."""
        return from_ros_degrees(self.x, self.y, self.z, self.roll, self.pitch, self.yaw)


class CameraSpec(BaseModel):
    """One camera. Further keys are attributes of its CARLA blueprint (`gamma`, `lens_k`, ...).

    Attributes in `if_known` are set only where the server's blueprint has them.
    """

    model_config = ConfigDict(frozen=True, extra='allow')

    type: Literal[
        'sensor.camera.rgb',
        'sensor.camera.depth',
        'sensor.camera.semantic_segmentation',
        'sensor.camera.instance_segmentation',
    ]
    id: _Name
    spawn_point: SpawnPoint = SpawnPoint()
    image_size_x: int = Field(800, ge=1, le=8192)
    image_size_y: int = Field(600, ge=1, le=8192)
    fov: float = Field(90.0, ge=1.0, le=170.0)
    if_known: dict[str, str | float | bool] = {}

    @property
    def kind(self) -> CameraKind:
        """What the camera sees."""
        return KINDS[self.type]

    def attributes(self) -> dict[str, str]:
        """Blueprint attributes as CARLA takes them. `sensor_tick` stays 0: every tick, because a
        sensor with its own period skips frames that the others have.
        """
        known = {'image_size_x', 'image_size_y', 'fov'}
        values = {name: str(getattr(self, name)) for name in sorted(known)}
        for name, value in (self.model_extra or {}).items():
            if name != 'sensor_tick':
                values[name] = _text(value)
        return values

    def optional_attributes(self) -> dict[str, str]:
        """The attributes of `if_known`."""
        return {name: _text(value) for name, value in self.if_known.items()}

    def sees_as(self, other: CameraSpec) -> bool:
        """Whether both have one pose and one picture geometry, so that pixels correspond."""
        names = ('spawn_point', 'image_size_x', 'image_size_y', 'fov')
        return all(getattr(self, n) == getattr(other, n) for n in names)


class Rig(BaseModel):
    """The ego vehicle with its cameras."""

    model_config = ConfigDict(frozen=True, extra='forbid')

    vehicle: str = Field('vehicle.tesla.model3', pattern=r'^vehicle\.')
    role_name: _Name = 'ego_vehicle'
    spawn_point: SpawnPoint | None = None
    cameras: tuple[CameraSpec, ...]
    skipped: tuple[str, ...] = ()

    @model_validator(mode='after')
    def _unique(self) -> Rig:
        ids = [camera.id for camera in self.cameras]
        doubled = sorted({name for name in ids if ids.count(name) > 1})
        if doubled:
            raise ValueError(f'camera ids must differ, {", ".join(doubled)} is used twice')
        if not ids:
            raise ValueError(f'expected at least one of {", ".join(KINDS)}, found none')
        return self

    def of_kind(self, kind: CameraKind) -> tuple[CameraSpec, ...]:
        """The cameras of one kind, in the order of the file."""
        return tuple(camera for camera in self.cameras if camera.kind == kind)

    def twin(self, camera: CameraSpec, kind: CameraKind) -> CameraSpec | None:
        """The camera of `kind` that sees exactly what `camera` sees."""
        return next((c for c in self.of_kind(kind) if c.sees_as(camera)), None)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def load_rig(path: str | Path, role_name: str | None = None) -> Rig:
    """Read a rig file; `role_name` renames the vehicle (and chooses it where there are several).

    Sensors of other kinds and pseudo sensors are left out and named in `Rig.skipped`. Raises
    `ConfigError` that lists every problem at once.
    """
    return parse_rig(read_rig(Path(path)), str(path), role_name)


def parse_rig(raw: Any, name: str, role_name: str | None = None) -> Rig:
    """A rig from the parsed contents of a file; see `load_rig`."""
    objects = rig_objects(raw, name)
    vehicles = [
        (i, o)
        for i, o in enumerate(objects)
        if isinstance(o, dict) and str(o.get('type', '')).startswith('vehicle.')
    ]
    chosen = [v for v in vehicles if v[1].get('id') == role_name] or vehicles
    if len(chosen) != 1:
        raise ConfigError(
            f'rig {name}: expected one object of type vehicle.*, found {len(chosen)}'
            + (f'; none has the id {role_name!r}' if role_name and chosen else '')
        )
    index, vehicle = chosen[0]
    where = f'objects[{index}]'
    skipped = [str(o.get('type', o)) for i, o in enumerate(objects)
               if i != index and isinstance(o, dict)]  # fmt: skip
    problems = []
    cameras = []
    sensors = vehicle.get('sensors', [])
    if not isinstance(sensors, list):
        problems.append(f'{where}.sensors: expected a list')
        sensors = []
    for i, sensor in enumerate(sensors):
        kind = str(sensor.get('type', '')) if isinstance(sensor, dict) else ''
        if kind and kind not in KINDS and not kind.startswith('vehicle.'):
            skipped.append(kind)
            continue
        try:
            cameras.append(CameraSpec.model_validate(sensor))
        except ValidationError as error:
            problems += validation_problems(error, f'{where}.sensors[{i}]')
    fields: dict[str, Any] = {'vehicle': vehicle.get('type'), 'skipped': tuple(skipped)}
    fields['role_name'] = role_name or vehicle.get('id', 'ego_vehicle')
    if vehicle.get('spawn_point') is not None:
        fields['spawn_point'] = vehicle['spawn_point']
    fields['cameras'] = tuple(cameras)
    try:
        rig = Rig.model_validate(fields)
    except ValidationError as error:
        missing = validation_problems(error, where)
        if problems:  # a camera that could not be read must not be reported as missing as well
            missing = [line for line in missing if 'at least one' not in line]
        raise ConfigError(problems_line(f'rig {name}', [*problems, *missing])) from None
    if problems:
        raise ConfigError(problems_line(f'rig {name}', problems))
    return rig


def camera_set(
    width: int,
    height: int,
    fov: float,
    mount: SpawnPoint,
    kinds: tuple[CameraKind, ...],
    if_known: dict[str, Any] | None = None,
) -> tuple[CameraSpec, ...]:
    """Cameras `rgb_front`, `depth_front`, ... that see the same.

    `if_known` goes to the RGB camera only.
    """
    return tuple(
        CameraSpec(
            type=BLUEPRINTS[kind],
            id=f'{kind}_front',
            spawn_point=mount,
            image_size_x=width,
            image_size_y=height,
            fov=fov,
            if_known=if_known or {} if kind == 'rgb' else {},
        )
        for kind in kinds
    )
