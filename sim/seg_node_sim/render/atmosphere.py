"""From CARLA's weather to light: sun, sky, fog, wetness, exposure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from seg_node_sim.scene import Weather

# places in the vector of numbers that the compiled kernels read
SUN_DIR, SUN, AMBIENT, ZENITH, HORIZON, GLOW, BOUNCE = 0, 3, 6, 9, 12, 15, 18
FOG, FOG_START, CLOUDS, WET, PUDDLES, NIGHT, EXPOSURE, WIND, DISK, RAIN = (
    21,
    22,
    23,
    24,
    25,
    26,
    27,
    28,
    29,
    30,
)
DUST, LENGTH = 31, 32


@dataclass(frozen=True)
class Air:
    """What the kernels need of a weather.

    env: float32 (LENGTH,), see the places above; radiances are linear and in arbitrary units.
    sun: unit vector towards the sun (or the moon), CARLA's axes. shadows: strength 0..1.
    lamps: how far street lamps and windows are lit, 0..1.
    """

    env: np.ndarray
    sun: tuple[float, float, float]
    shadows: float
    lamps: float


def _mix(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    mixed: np.ndarray = a + (b - a) * min(1.0, max(0.0, t))
    return mixed


def _ramp(x: float, low: float, high: float) -> float:
    t = min(1.0, max(0.0, (x - low) / (high - low)))
    return t * t * (3.0 - 2.0 * t)


def air(weather: Weather, time_s: float) -> Air:
    """Light and air of a weather at a time (clouds move)."""
    altitude = weather.sun_altitude_angle
    azimuth = math.radians(weather.sun_azimuth_angle)
    height = math.radians(altitude)
    sun_dir = np.array(
        [
            math.cos(azimuth) * math.cos(height),
            math.sin(azimuth) * math.cos(height),
            math.sin(height),
        ]
    )
    clouds = min(1.0, weather.cloudiness / 100.0)
    rain = min(1.0, weather.precipitation / 100.0)
    day = _ramp(altitude, -8.0, 12.0)
    mass = 1.0 / (max(math.sin(height), 0.0) + 0.09)
    sun = 3.6 * np.exp(-np.array([0.03, 0.085, 0.20]) * mass) * _ramp(altitude, -1.5, 6.0)
    cover = _ramp(clouds, 0.25, 0.95)
    sun = sun * (1.0 - 0.95 * cover)
    clear_zenith = np.array([0.10, 0.24, 0.62])
    clear_horizon = np.array([0.62, 0.76, 0.95])
    low_sun = _ramp(altitude, 25.0, 2.0 - 4.0)
    horizon = _mix(clear_horizon, np.array([0.95, 0.60, 0.36]), low_sun * 0.75)
    zenith = _mix(clear_zenith, np.array([0.16, 0.20, 0.42]), low_sun)
    grey = np.array([0.60, 0.64, 0.70]) * (0.8 - 0.35 * rain)
    zenith = _mix(zenith, grey * 0.85, cover)
    horizon = _mix(horizon, grey * 1.15, cover * (1.0 - 0.4 * low_sun))
    night_zenith = np.array([0.0022, 0.0032, 0.0075])
    night_horizon = np.array([0.011, 0.010, 0.013])
    zenith = _mix(night_zenith, zenith, day)
    horizon = _mix(night_horizon, horizon, day)
    ambient = 0.55 * zenith + 0.45 * horizon
    # towards evening the sky gives less light than the sun's low rays still do
    ambient = ambient * (0.42 + 0.58 * max(_ramp(altitude, 2.0, 30.0), 0.8 * cover))
    ambient = ambient * (1.0 + 0.35 * cover) + np.array([0.006, 0.006, 0.008])
    glow = sun * np.array([1.0, 0.85, 0.65]) * (0.3 + 0.7 * low_sun) * (1.0 - cover)
    if altitude < -2.0:  # the moon, opposite
        sun_dir = np.array([-sun_dir[0], -sun_dir[1], max(0.35, abs(sun_dir[2]))])
        sun_dir /= np.linalg.norm(sun_dir)
        sun = np.array([0.010, 0.012, 0.017]) * (1.0 - 0.8 * cover) * (1.0 - day)
        glow = sun * 0.5
    bounce = (sun * max(sun_dir[2], 0.0) + ambient) * 0.13
    fog = (max(0.0, weather.fog_density - 2.0) / 100.0) ** 1.5 * 0.07
    fog += 0.0009 + 0.0035 * rain + 0.006 * weather.dust_storm / 100.0
    # At night fog shows by the lamps that it scatters, where it begins near enough to them.
    misty = min(1.0, fog / 0.03) * math.exp(-max(0.0, weather.fog_distance) / 40.0)
    horizon = horizon + np.array([0.009, 0.0075, 0.006]) * misty * (1.0 - day)
    wet = max(weather.wetness / 100.0, min(1.0, 1.6 * rain), 0.0)
    puddles = weather.precipitation_deposits / 100.0
    wet = max(wet, 0.55 * puddles)
    env = np.zeros(LENGTH, np.float32)
    for place, value in (
        (SUN_DIR, sun_dir),
        (SUN, sun),
        (AMBIENT, ambient),
        (ZENITH, zenith),
        (HORIZON, horizon),
        (GLOW, glow),
        (BOUNCE, bounce),
    ):
        env[place : place + 3] = value
    env[FOG] = fog
    env[FOG_START] = weather.fog_distance
    env[CLOUDS] = clouds
    env[WET] = min(1.0, wet)
    env[PUDDLES] = min(1.0, puddles)
    env[NIGHT] = 1.0 - day
    # the eye adapts, but not fully: overcast and dusk stay darker than noon, night much darker
    light = float((sun * max(sun_dir[2], 0.05) + ambient).mean())
    env[EXPOSURE] = 1.25 * (1.6 / max(light, 0.16)) ** 0.72
    env[WIND] = time_s * (0.5 + weather.wind_intensity / 25.0)
    env[DISK] = 1.0 if altitude > -2.0 else 0.25
    env[RAIN] = rain
    env[DUST] = weather.dust_storm / 100.0
    lamps = max(1.0 - _ramp(altitude, -4.0, 6.0), 0.0)
    shadows = 1.0 - cover
    return Air(env, (float(sun_dir[0]), float(sun_dir[1]), float(sun_dir[2])), shadows, lamps)


def tone_curve(size: int = 4096, top: float = 16.0) -> np.ndarray:
    """uint8 (size,): display value of linear radiance x at index sqrt(x / top) * (size - 1)."""
    x = (np.linspace(0.0, 1.0, size) ** 2) * top * 0.62
    film = (x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14)
    return np.round(255.0 * np.clip(film, 0.0, 1.0) ** (1.0 / 2.2)).astype(np.uint8)
