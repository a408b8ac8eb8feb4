"""Which topic of a bag is the camera, and what belongs to it: one answer for every verb.

Decided by what the messages are (type, encoding, pixels of the first picture), by a camera_info in
the same namespace (image_transport's and camera_info_manager's convention) and by their number.
Words of the name count as words, so that `segway` is no segmentation.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from seg_node.bags.bag import CAMERA_INFO_TYPE, IMAGE_TYPE, IMAGE_TYPES, Bag
from seg_node.bags.channel import BagMessage, Topic
from seg_node.errors import FrameError, InputError
from seg_node.images.frames import ENCODINGS, Frame, decode, decode_compressed

PictureKind = Literal['colour', 'grey', 'unread', 'labels', 'depth']
_DEPTH_ENCODINGS = frozenset({'16UC1', '32FC1', '64FC1'})
_COLOUR_WORDS = frozenset({'rgb', 'bgr', 'color', 'colour'})
_NEVER_WORDS = frozenset({
    'depth', 'disparity', 'disp', 'mask', 'semantic', 'segmentation', 'seg', 'label', 'instance',
    'overlay', 'confidence', 'truth', 'gt', 'heatmap', 'costmap', 'annotated',
})  # fmt: skip
_SELDOM_WORDS = frozenset({
    'dvs', 'event', 'ir', 'infra', 'infrared', 'thermal', 'flow', 'normal', 'debug', 'detection',
    'result', 'lidar', 'radar', 'bev', 'map', 'preview', 'thumbnail',
})  # fmt: skip
_KNOWN_WORDS = _COLOUR_WORDS | _NEVER_WORDS | _SELDOM_WORDS
_AHEAD_WORDS = frozenset({'front', 'forward', 'center', 'centre', 'main'})
_BEHIND_WORDS = frozenset({'rear', 'back', 'view', 'spectator'})
_RARE = 10
"""A topic with so many times fewer messages than another is not the camera of the drive."""
_MOST_LABELS = 41
_TRANSPORTS = ('/compressed', '/compressedDepth')


@dataclass(frozen=True)
class BagCamera:
    """The camera of a bag: `info` is the camera_info topic of its namespace, `others` are topics
    that are as likely.
    """

    topic: Topic
    look: str
    info: str | None
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        info = f'with {self.info}' if self.info else 'no camera_info beside it'
        count = f'{self.topic.count} messages' if self.topic.count else 'messages not counted'
        line = f'{self.topic.name} ({self.look}, {count}, {info})'
        if self.others:
            line += f'; as likely: {", ".join(self.others)} (--topic takes another)'
        return line


def image_topic(bag: Bag, name: str) -> Topic:
    """The image topic `name`. Raises `InputError` that lists those there are."""
    images = bag.of_type(*IMAGE_TYPES)
    for topic in images:
        if topic.name == name:
            return topic
    listed = ', '.join(topic.name for topic in images) or 'none'
    raise InputError(f'{bag.path}: expected camera topic {name}, found {listed}')


def choose_camera(
    bag: Bag,
    name: str | None = None,
    taken: Collection[str] = (),
    types: Sequence[str] = IMAGE_TYPES,
) -> BagCamera:
    """The topic `name`, or else the camera of the bag; never one of `taken`.

    Raises `InputError` with one line: nothing of `types` is there, or only what is no camera
    picture (masks, depth, disparity, overlays).
    """
    if name is not None:
        topic = image_topic(bag, name)
        return BagCamera(topic, _FirstPicture.at(bag, topic).words, camera_info_beside(bag, name))
    topics = [topic for topic in bag.of_type(*types) if topic.name not in taken]
    if not topics:
        listed = ', '.join(map(str, bag.topics[:6])) or 'no topic at all'
        raise InputError(f'{bag.path}: expected an image topic, found {listed}')
    filled = [topic for topic in topics if topic.count] or topics
    most = max(topic.count for topic in filled)
    looks = {topic.name: _FirstPicture.at(bag, topic) for topic in filled}
    cameras = [topic for topic in filled if looks[topic.name].may_be_camera]
    if not cameras:
        listed = ', '.join(f'{name} ({look.words})' for name, look in looks.items())
        raise InputError(
            f'{bag.path}: expected a camera, found only {listed}; --topic takes one all the same'
        )
    ranks = {
        topic: (
            looks[topic.name].suspicion,
            topic.count * _RARE < most,
            camera_info_beside(bag, topic.name) is None,
            looks[topic.name].kind != 'colour',
            _away(topic.name),
            topic.type != IMAGE_TYPE,
        )
        for topic in cameras
    }
    chosen = min(cameras, key=lambda topic: (ranks[topic], topic.name))
    others = [topic.name for topic in cameras if topic != chosen and ranks[topic] == ranks[chosen]]
    info = camera_info_beside(bag, chosen.name)
    return BagCamera(chosen, looks[chosen.name].words, info, tuple(others))


def choose_depth(bag: Bag, camera: str) -> str | None:
    """The depth topic whose name shares most with the camera's; None: there is none."""
    depths = [
        topic.name
        for topic in bag.of_type(IMAGE_TYPE)
        if topic.name != camera
        and _telling(topic.name) == 'depth'
        and _FirstPicture.at(bag, topic).kind
        in ('depth', 'colour', 'unread')  # CARLA codes it in colours
    ]

    def shared(name: str) -> tuple[int, int]:
        parts = sum(a == b for a, b in zip(name.split('/'), camera.split('/')))
        return parts, len(set(_words(name)) & set(_words(camera)))  # depth_left, not depth_front

    return max(sorted(depths), key=shared, default=None)


def camera_info_beside(bag: Bag, camera: str) -> str | None:
    """The camera_info topic in the namespace of an image topic; None: there is none."""
    for transport in _TRANSPORTS:
        camera = camera.removesuffix(transport)
    name = f'{camera.rpartition("/")[0]}/camera_info'
    topic = bag.topic(name)
    return name if topic is not None and topic.type == CAMERA_INFO_TYPE else None


def decode_image(bag: Bag, message: BagMessage) -> Frame:
    """The picture of an Image or CompressedImage message. Raises `InputError` (`FrameError`)."""
    if message.type not in IMAGE_TYPES:  # another channel of the same topic
        raise FrameError('type', f'expected a picture, got a {message.type}')
    content = bag.deserialize(message)
    return decode(content) if message.type == IMAGE_TYPE else decode_compressed(content)


@dataclass(frozen=True)
class _FirstPicture:
    """What the first picture of a topic is, and what its name says."""

    kind: PictureKind
    encoding: str
    word: str

    @classmethod
    def at(cls, bag: Bag, topic: Topic) -> _FirstPicture:
        word = _telling(topic.name)
        message = next(bag.messages([topic.name]), None)
        if message is None:
            return cls('unread', '', word)
        try:
            content = bag.deserialize(message)
            encoding = str(content.encoding if topic.type == IMAGE_TYPE else content.format)
            if encoding.split(';')[0] in _DEPTH_ENCODINGS or 'compressedDepth' in encoding:
                return cls('depth', encoding, word)
            if topic.type == IMAGE_TYPE and encoding not in ENCODINGS:
                return cls('unread', encoding, word)
            return cls(_kind_of(decode_image(bag, message)), encoding, word)
        except InputError:
            return cls('unread', 'first message not readable', word)

    @property
    def may_be_camera(self) -> bool:
        return self.kind != 'depth' and self.word not in _NEVER_WORDS

    @property
    def suspicion(self) -> int:
        if self.kind == 'labels' or self.word in _SELDOM_WORDS:
            return 2
        return int(self.kind == 'unread')

    @property
    def words(self) -> str:
        """In words for people."""
        notes = [self.encoding or 'no message']
        if self.kind in ('depth', 'labels'):
            notes.append(f'looks like {self.kind}')
        elif self.word in _NEVER_WORDS:
            notes.append(f'called {self.word}')
        return ', '.join(notes)


def _kind_of(frame: Frame) -> PictureKind:
    pixels = frame.pixels[::4, ::4]
    if pixels.ndim == 3:
        blue, red = (2, 0) if frame.order.startswith('rgb') else (0, 2)
        tags = not pixels[..., 1].any() and not pixels[..., blue].any()  # CARLA's, in red
        return 'labels' if tags and 0 < int(pixels[..., red].max()) < _MOST_LABELS else 'colour'
    values = np.unique(pixels)
    few = bool(np.all((values < _MOST_LABELS) | (values == 255)))
    return 'labels' if few and len(values) > 1 else 'grey'


def _words(name: str) -> list[str]:
    """Lower-case words of a topic's name, without plurals and numbers."""
    parts = re.findall(r'[A-Z]?[a-z]+|[A-Z]+(?![a-z])', name)
    words = [part.lower() for part in parts]
    return [word if word in _KNOWN_WORDS else word.removesuffix('s') for word in words]


def _telling(name: str) -> str:
    """The last word of a name that says what kind of picture it is, or nothing."""
    if '/seg_node/' in f'{name}/':
        return 'overlay' if name.endswith('/overlay') else 'mask'  # outputs of this package
    return next((word for word in reversed(_words(name)) if word in _KNOWN_WORDS), '')


def _away(name: str) -> int:
    """0 for a camera that looks ahead, as the road's does, 2 for one that does not."""
    words = set(_words(name))
    return 0 if words & _AHEAD_WORDS else 2 if words & _BEHIND_WORDS else 1
