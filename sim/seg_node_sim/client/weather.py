"""Weather by name, by value, or drawn from a seed."""

from __future__ import annotations

import random
from dataclasses import fields, replace
from functools import cache

from seg_node.errors import ConfigError, problems_line
from seg_node_sim.client.carla_api import require_carla
from seg_node_sim.scene import Weather

_FIELDS = tuple(f.name for f in fields(Weather))

# What random weather is made of: sky and road, then the sun's altitude in degrees.
_SKIES: dict[str, dict[str, float]] = {
    'Clear': {'cloudiness': 5.0, 'wind_intensity': 10.0},
    'Cloudy': {'cloudiness': 60.0, 'wind_intensity': 10.0, 'fog_density': 3.0},
    'Wet': {'cloudiness': 5.0, 'precipitation_deposits': 50.0, 'wetness': 50.0},
    'WetCloudy': {'cloudiness': 60.0, 'precipitation_deposits': 50.0, 'wetness': 50.0},
    'SoftRain': {
        'cloudiness': 20.0, 'precipitation': 30.0, 'precipitation_deposits': 50.0,
        'wind_intensity': 30.0, 'wetness': 60.0, 'fog_density': 3.0,
    },
    'MidRain': {
        'cloudiness': 60.0, 'precipitation': 60.0, 'precipitation_deposits': 60.0,
        'wind_intensity': 60.0, 'wetness': 80.0, 'fog_density': 3.0,
    },
    'HardRain': {
        'cloudiness': 100.0, 'precipitation': 100.0, 'precipitation_deposits': 90.0,
        'wind_intensity': 100.0, 'wetness': 100.0, 'fog_density': 7.0,
    },
    'Fog': {'cloudiness': 70.0, 'fog_density': 55.0, 'fog_distance': 0.0, 'wetness': 20.0},
}  # fmt: skip
_SUNS = {'Noon': (25.0, 85.0), 'Sunset': (2.0, 20.0), 'Night': (-60.0, -5.0)}


@cache
def presets() -> dict[str, Weather]:
    """CARLA's own presets by name (`ClearNoon`, `HardRainNight`, ...), and fog."""
    kind = require_carla().WeatherParameters
    by_name = {}
    for name in sorted(vars(kind)):
        values = getattr(kind, name)
        if isinstance(values, kind) and name != 'Default':
            by_name[name] = Weather(*(float(getattr(values, field)) for field in _FIELDS))
    for sun, altitude in (('Noon', 45.0), ('Sunset', 15.0), ('Night', -30.0)):
        by_name[f'Fog{sun}'] = replace(Weather(), sun_altitude_angle=altitude, **_SKIES['Fog'])
    return by_name


CHOICES = ('keep', 'random')


def parse_weather(text: str, seed: int = 0) -> Weather | None:
    """The weather that `text` names; None for `keep`: what the server has.

    `text`: a preset, `random` (drawn from `seed`), `keep`, or changes to clear noon as
    `sun_altitude_angle=5,precipitation=80`. Raises `ConfigError` with every problem.
    """
    if text in ('', 'keep'):
        return None
    if text == 'random':
        return random_weather(seed)
    if '=' not in text:
        if text in presets():
            return presets()[text]
        known = ', '.join((*CHOICES, *presets()))
        raise ConfigError(f'weather {text!r}: expected NAME=VALUE,... or one of {known}')
    values, problems = {}, []
    for part in text.split(','):
        name, _, number = part.strip().partition('=')
        if name not in _FIELDS:
            problems.append(f'{name!r}: expected one of {", ".join(sorted(_FIELDS))}')
            continue
        try:
            values[name] = float(number)
        except ValueError:
            problems.append(f'{name}: expected a number, got {number!r}')
    if problems:
        raise ConfigError(problems_line('weather', problems))
    return replace(Weather(), **values)


def random_weather(seed: int) -> Weather:
    """A weather drawn from `seed`: half of them dry days, the rest dusk, rain, fog, night."""
    draw = random.Random(f'weather {seed}')
    sky = draw.choices(list(_SKIES), weights=(26, 22, 8, 8, 10, 10, 8, 8))[0]
    sun = draw.choices(list(_SUNS), weights=(58, 24, 18))[0]
    altitude = draw.uniform(*_SUNS[sun])
    base = replace(Weather(), **_SKIES[sky])
    loose = {
        name: min(100.0, max(0.0, getattr(base, name) * draw.uniform(0.6, 1.3)))
        for name in ('cloudiness', 'precipitation', 'precipitation_deposits', 'wetness',
                     'fog_density', 'wind_intensity')
    }  # fmt: skip
    return replace(
        base, sun_altitude_angle=altitude, sun_azimuth_angle=draw.uniform(0.0, 360.0), **loose
    )


def describe(weather: Weather) -> str:
    """A word or two for lists: `night rain`, `day`, `dusk fog`."""
    altitude = weather.sun_altitude_angle
    words = ['night' if altitude < 0.0 else 'dusk' if altitude < 20.0 else 'day']
    if weather.precipitation >= 10.0:
        words.append('rain')
    elif weather.precipitation_deposits >= 20.0:
        words.append('wet')
    if weather.fog_density >= 20.0:
        words.append('fog')
    return ' '.join(words)
