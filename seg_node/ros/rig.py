"""The cameras of the parameter `cameras`: names, a rig file, or a pattern of image topics."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seg_node.errors import ConfigError
from seg_node.rig_file import rgb_cameras
from seg_node.topic_pattern import TopicPattern

_IMAGES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
_PATIENCE_S = 10.0
"""So long a pattern waits for the first topic that it matches."""
_SETTLED_S = 1.0
"""So long after a topic has come others may; discovery takes up to 3 s in all."""


@dataclass(frozen=True)
class Inputs:
    """A camera's name, '' for the only one, and the topics that it is subscribed on."""

    name: str
    image: str
    camera_info: str
    depth: str
    depth_info: str

    @classmethod
    def named(cls, name: str) -> Inputs:
        """`<name>/image`, `<name>/camera_info`, `<name>/depth/…`; without a name as they are."""
        prefix = f'{name}/' if name else ''
        return cls(name, *(prefix + topic for topic in _NAMES))

    @classmethod
    def beside(cls, name: str, image: str) -> Inputs:
        """The topics beside an image topic of any name."""
        place = image.removesuffix('/compressed').rpartition('/')[0]
        return cls(name, image, *(f'{place}/{topic}' for topic in _NAMES[1:]))


_NAMES = ('image', 'camera_info', 'depth/image', 'depth/camera_info')


def cameras(node: Any, entries: Sequence[str]) -> tuple[Inputs, ...]:
    """The cameras that `entries` mean; one without a name where there is none.

    An entry is a name, the path of a rig file (ros-bridge's `objects.json`), or a pattern of
    image topics such as `/rig/*/image_raw`, for which the ROS graph is waited for. Raises
    `ConfigError`, one line.
    """
    chosen: list[Inputs] = []
    for entry in entries:
        if entry.endswith('.json'):
            chosen += of_rig(Path(entry).expanduser())
        elif '*' in entry:
            chosen += _of_graph(node, entry)
        else:
            chosen.append(Inputs.named(entry))
    check_names([inputs.name for inputs in chosen])
    return tuple(chosen) or (Inputs.named(''),)


def of_rig(path: Path) -> list[Inputs]:
    """The RGB cameras of a rig file, on the topics that ros-bridge and our source give them.

    Depth is that of the depth camera which stands at the same place. Raises `ConfigError`.
    """
    rgb = rgb_cameras(path)
    if not rgb:
        raise ConfigError(f'cameras: {path}: expected a sensor.camera.rgb, it has none')
    return [Inputs(camera.name, *(camera.topics()[topic] for topic in _NAMES)) for camera in rgb]


def _of_graph(node: Any, pattern: str) -> list[Inputs]:
    """The image topics that match `pattern` now, by what stands for its `*`."""
    full = node.get_namespace().rstrip('/') + f'/{pattern}'
    named = TopicPattern.of(pattern if pattern.startswith('/') else full)
    seen: dict[str, str] = {}
    settled = time.monotonic() + _PATIENCE_S
    while True:
        parts = ((topic, named.part(topic)) for topic in sorted(_image_topics(node)))
        now = {topic: part for topic, part in parts if part}
        if now != seen:
            seen, settled = now, time.monotonic() + _SETTLED_S
        if time.monotonic() >= settled:
            break
        time.sleep(0.05)
    if not seen:
        listed = ', '.join(_image_topics(node)[:8]) or 'none'
        raise ConfigError(
            f'cameras: no image topic matches {named.filled("*")} after {_PATIENCE_S:g} s, there '
            f'are: {listed}'
        )
    return [Inputs.beside(_as_name(part), topic) for topic, part in seen.items()]


def _image_topics(node: Any) -> list[str]:
    own = f'{node.get_fully_qualified_name()}/'
    return [
        topic
        for topic, kinds in node.get_topic_names_and_types()
        if not topic.startswith(own) and set(kinds) & set(_IMAGES)
    ]


def _as_name(part: str) -> str:
    return f'camera_{part}' if part[0].isdigit() else part


def check_names(names: Sequence[str]) -> None:
    """Raise `ConfigError` for names that cannot be part of a topic, or come twice."""
    for name in names:
        parts = name.split('/')
        if not all(p and not p[0].isdigit() and p.replace('_', 'a').isalnum() for p in parts):
            raise ConfigError(f'cameras: {name!r} cannot be part of a topic name')
    if len(set(names)) != len(names):
        raise ConfigError(f'cameras: expected different names, got {", ".join(names)}')
