"""objects.json of a rig and parameters of the nodes: settings within their bounds, or one line."""

from __future__ import annotations

import contextlib
import json
import math
import random
import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from fuzzing import NUMBERS, TEXTS, Case, Target, damaged, nasty, spoiled

from seg_node.errors import SegNodeError
from seg_node.rig_file import camera_mounts
from seg_node.ros.declared import Declared, declared, settings
from seg_node.ros.lane_map_parameters import LaneMapSettings
from seg_node.ros.mapping_settings import MappingSettings
from seg_node.ros.node_settings import NodeSettings
from seg_node.share import share_dir
from seg_node.yaml_files import read_mapping
from seg_node_sim.client.rig import KINDS, load_rig

_RIG = json.loads((share_dir() / 'config' / 'rig.json').read_text(encoding='utf-8'))
_CONFIG = (share_dir() / 'config' / 'seg_node.yaml').read_bytes()
_KINDS = (NodeSettings, MappingSettings, LaneMapSettings)


def _deep(value: Any, rng: random.Random) -> Any:
    """As `spoiled`, which leaves mappings alone."""
    if isinstance(value, dict):
        return {
            key if rng.random() > 0.03 else rng.choice(TEXTS): _deep(v, rng)
            for key, v in value.items()
        }
    if isinstance(value, list):
        return [_deep(part, rng) for part in value] * rng.choice((1,) * 30 + (0, 2))
    return spoiled(value, rng, 0.05)


def _json(value: Any) -> bytes:
    text = json.dumps(value, default=lambda part: part.hex(), skipkeys=True)
    return text.encode('utf-8', 'surrogatepass')


def _rig(path: Path, rng: random.Random) -> None:
    data = _json(_deep(_RIG, rng))
    if rng.random() < 0.4:
        data = damaged(data, rng)
    elif rng.random() < 0.02:
        data = b'[' * 100_000
    path.write_bytes(data)
    with contextlib.suppress(SegNodeError):
        for mount in camera_mounts(path).values():
            assert all(map(math.isfinite, mount.values()))
    rig = load_rig(path)
    for camera in rig.cameras:
        assert 1 <= camera.image_size_x <= 8192 and 1 <= camera.image_size_y <= 8192
        pose = camera.spawn_point.pose()
        assert all(map(math.isfinite, (pose.x, pose.y, pose.z))) and camera.type in KINDS
        assert all(isinstance(v, str) for v in camera.attributes().values())


def _value(item: Declared, rng: random.Random) -> Any:
    """What ROS can hand on for a parameter: its type is checked by rclpy, its range as well."""
    default = item.default
    if item.may_be_off and rng.random() < 0.2:
        return False
    if isinstance(default, bool):
        return rng.random() < 0.5
    if isinstance(default, int | float):
        low, high = item.bounds or (-1e300, 1e300)
        allowed = [n for n in NUMBERS if low <= n <= high] or [low]
        return type(default)(rng.choice((*allowed, low, high)))
    if isinstance(default, str):
        texts = [t for t in TEXTS if t.isascii() or 'é' in t]
        return rng.choice((*item.choices, *texts, default))
    if default == []:
        return rng.choice((None, array('q', [1, 128]), [-5, 1 << 40], [300], ['a'], [1.5], []))
    return rng.choice(([''], ['a', 'a'], ['a/b', 'c'], ['é'], [], ['front', 'rear']))


def _parameters(rng: random.Random) -> None:
    for kind in _KINDS:
        items = declared(kind)
        values = {i.name: _value(i, rng) if rng.random() < 0.3 else i.default for i in items}
        made = settings(kind, values)
        assert isinstance(made, kind)


def _config(path: Path, rng: random.Random) -> None:
    data = _CONFIG
    if rng.random() < 0.5:
        with contextlib.suppress(yaml.YAMLError, ValueError):
            data = yaml.safe_dump(nasty(rng)).encode('utf-8', 'surrogatepass')
    path.write_bytes(damaged(data[: rng.choice((300, 2000))], rng))
    assert isinstance(read_mapping(path), dict)


@contextlib.contextmanager
def opened() -> Iterator[Case]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'file'

        def case(rng: random.Random) -> None:
            try:
                kind = rng.randrange(3)
                if kind == 0:
                    _rig(path, rng)
                elif kind == 1:
                    _parameters(rng)
                else:
                    _config(path, rng)
            except SegNodeError as error:
                assert str(error) and '\n' not in str(error), str(error)

        yield case


TARGET = Target('settings', opened, short=300)
