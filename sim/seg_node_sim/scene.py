"""What the server tells the renderer, and what a town is: plain frozen data.

Axes are CARLA's: left-handed, x forward, y right, z up; metres, degrees (OpenDRIVE's y is
minus ours).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace

import numpy as np


@dataclass(frozen=True)
class CarlaPose:
    """A rigid transform in CARLA's convention (location in metres, rotation in degrees)."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    pitch: float = 0.0
    yaw: float = 0.0
    roll: float = 0.0

    def matrix(self) -> np.ndarray:
        """float64 (4, 4), own frame -> parent frame; equal to ``carla.Transform.get_matrix()``."""
        cp, sp = math.cos(math.radians(self.pitch)), math.sin(math.radians(self.pitch))
        cy, sy = math.cos(math.radians(self.yaw)), math.sin(math.radians(self.yaw))
        cr, sr = math.cos(math.radians(self.roll)), math.sin(math.radians(self.roll))
        return np.array(
            [
                [cp * cy, cy * sp * sr - sy * cr, -cy * sp * cr - sy * sr, self.x],
                [cp * sy, sy * sp * sr + cy * cr, -sy * sp * cr + cy * sr, self.y],
                [sp, -cp * sr, cp * cr, self.z],
                [0.0, 0.0, 0.0, 1.0],
            ]
        )

    @staticmethod
    def from_matrix(m: np.ndarray) -> CarlaPose:
        """The inverse of `matrix`. m: float (4, 4), rotation part orthonormal."""
        pitch = math.asin(max(-1.0, min(1.0, float(m[2, 0]))))
        if abs(m[2, 0]) < 1.0 - 1e-9:
            yaw = math.atan2(m[1, 0], m[0, 0])
            roll = math.atan2(-m[2, 1], m[2, 2])
        else:  # looking straight up or down: yaw and roll turn about the same axis
            yaw = math.atan2(-m[0, 1], m[1, 1])
            roll = 0.0
        return CarlaPose(
            float(m[0, 3]),
            float(m[1, 3]),
            float(m[2, 3]),
            math.degrees(pitch),
            math.degrees(yaw),
            math.degrees(roll),
        )

    def compose(self, child: CarlaPose) -> CarlaPose:
        """The world pose of `child`, given relative to this pose."""
        return CarlaPose.from_matrix(self.matrix() @ child.matrix())

    def inverse(self) -> CarlaPose:
        """The pose that undoes this one."""
        m = self.matrix()
        inverse = np.eye(4)
        inverse[:3, :3] = m[:3, :3].T
        inverse[:3, 3] = -m[:3, :3].T @ m[:3, 3]
        return CarlaPose.from_matrix(inverse)

    def within(self, edge: float) -> CarlaPose:
        """This pose, its location brought to at most `edge` metres from 0 along each axis."""
        x, y, z = (min(max(v, -edge), edge) for v in self.location)
        return replace(self, x=x, y=y, z=z)

    @property
    def location(self) -> tuple[float, float, float]:
        """x, y, z in metres."""
        return (self.x, self.y, self.z)


@dataclass(frozen=True)
class CameraPost:
    """Effects of a real camera; everything is off by default.

    noise: standard deviation of the sensor noise, in grey levels of 255.
    motion_blur: fraction of `frame_s` for which the shutter is open, 0..1.
    exposure: in EV (stops); +1 doubles the light.
    lens_k, lens_kcube: radial distortion, r' = r (1 + lens_k r^2 + lens_kcube r^4), r in half
        widths. CARLA's blueprint default of lens_k = -1 means "none" there: pass 0 for it.
    vignette: light lost in the corners, 0..1.
    seed: of the noise; the frame's time goes into it as well.
    """

    noise: float = 0.0
    motion_blur: float = 0.0
    exposure: float = 0.0
    lens_k: float = 0.0
    lens_kcube: float = 0.0
    vignette: float = 0.0
    frame_s: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: fx = fy = width / (2 tan(fov / 2)), looking through the picture's middle.

    fov: horizontal, degrees. The renderer counts from the picture's corner: pixel (column, row)
    has its centre at (column + 0.5, row + 0.5), the middle is (width / 2, height / 2). What is
    published counts from the first pixel's centre (`client.images.intrinsic_matrix`).
    """

    width: int
    height: int
    fov: float = 90.0
    post: CameraPost = field(default_factory=CameraPost)

    @property
    def focal(self) -> float:
        """fx = fy in pixels."""
        return self.width / (2.0 * math.tan(math.radians(self.fov) / 2.0))


@dataclass(frozen=True)
class Body:
    """A moving thing the cameras see. Its pose is CARLA's actor origin: on the ground.

    extent: half sizes (x, y, z) in metres; the body fills z = 0 .. 2 * extent[2] above the origin.
    colour: (r, g, b) 0..255.
    tag: 14 car, 15 truck, 16 bus, 18 motorcycle, 19 bicycle, 12 pedestrian.
    lights: carla.VehicleLightState bit mask. velocity: m/s, world axes.
    """

    actor_id: int
    blueprint: str
    pose: CarlaPose
    extent: tuple[float, float, float]
    colour: tuple[int, int, int] = (120, 120, 120)
    tag: int = 14
    lights: int = 0
    velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Weather:
    """carla.WeatherParameters in the order of the wire; defaults are ClearNoon."""

    cloudiness: float = 5.0
    precipitation: float = 0.0
    precipitation_deposits: float = 0.0
    wind_intensity: float = 10.0
    sun_azimuth_angle: float = -1.0
    sun_altitude_angle: float = 45.0
    fog_density: float = 2.0
    fog_distance: float = 0.75
    fog_falloff: float = 0.1
    wetness: float = 0.0
    scattering_intensity: float = 1.0
    mie_scattering_scale: float = 0.03
    rayleigh_scattering_scale: float = 0.0331
    dust_storm: float = 0.0

    def values(self) -> tuple[float, ...]:
        """The 14 numbers in the order of the wire."""
        return tuple(float(getattr(self, f.name)) for f in fields(self))


@dataclass(frozen=True)
class Town:
    """A map: its OpenDRIVE text is the one truth about lanes and markings.

    spawn_points: on driving lanes, yaw along the lane, z a little above the ground.
    seed: of everything seen that the map does not fix (asphalt tone, wear, houses, trees).
    style: 'highway', 'town', 'city', 'parking' or 'plain'; what is put beside the roads.
    """

    name: str
    xodr: str
    spawn_points: tuple[CarlaPose, ...]
    seed: int = 0
    style: str = 'plain'


PASSES = frozenset({'rgb', 'semantic', 'depth', 'instance'})
FAR = 1000.0  # metres: depth of the sky
