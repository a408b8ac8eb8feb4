"""Checks of the running ROS graph around one image topic."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from seg_node.finding import Finding
from seg_node.images.frames import ENCODINGS
from seg_node.ros.session import named_graph
from seg_node.ros.waiting import ADVICE, COMPRESSED, IMAGE, topics_of

_IMAGE_TYPES = (IMAGE, COMPRESSED)


def check_graph(topic: str, seconds: float) -> Iterator[Finding]:
    """Publishers, QoS, rate, encoding and camera_info of an image topic, listened to briefly."""
    with named_graph():
        node = Node('seg_node_doctor')
        try:
            _wait(node, lambda: node.count_publishers(topic) > 0, 5.0)
            # DDS tells of a publisher before ROS tells whose it is.
            _wait(node, lambda: _all_named(node, topic), 2.0)
            publishers = node.get_publishers_info_by_topic(topic)
            if not publishers:
                yield _no_publisher(node, topic)
                return
            yield Finding('ok', topic, _described(publishers))
            yield from _types(topic, publishers)
            yield from _listen(node, topic, publishers[0], seconds)
        finally:
            node.destroy_node()


def _wait(node: Node, ready: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not ready() and time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.05)


def _all_named(node: Node, topic: str) -> bool:
    names = (p.node_name for p in node.get_publishers_info_by_topic(topic))
    return all(name != '_NODE_NAME_UNKNOWN_' for name in names)


def _no_publisher(node: Node, topic: str) -> Finding:
    images = ', '.join(topics_of(node, *_IMAGE_TYPES)) or 'no image topic at all'
    return Finding('error', topic, f'no publisher; there is {images}', ADVICE)


def _described(publishers: list[Any]) -> str:
    parts = [
        f'{p.node_namespace.rstrip("/")}/{p.node_name} {p.qos_profile.reliability.name.lower()}'
        for p in publishers
    ]
    return f'{len(parts)} publisher(s): {", ".join(parts)}'


def _types(topic: str, publishers: list[Any]) -> Iterator[Finding]:
    kinds = {p.topic_type for p in publishers}
    if not kinds & set(_IMAGE_TYPES):
        yield Finding('error', topic, f'expected an image, it carries {", ".join(sorted(kinds))}')
    elif _IMAGE_TYPES[1] in kinds:
        yield Finding('note', topic, 'compressed', 'run the node with image_transport:=compressed')


def _listen(node: Node, topic: str, publisher: Any, seconds: float) -> Iterator[Finding]:
    from sensor_msgs.msg import CameraInfo, CompressedImage, Image

    if publisher.topic_type not in _IMAGE_TYPES:
        return
    frames: list[tuple[float, Any]] = []
    infos: list[Any] = []
    qos = QoSProfile(
        depth=10,
        reliability=ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.VOLATILE,
    )
    kind = Image if publisher.topic_type == _IMAGE_TYPES[0] else CompressedImage
    node.create_subscription(kind, topic, lambda m: frames.append((time.monotonic(), m)), qos)
    namespace = topic.rpartition('/')[0]
    info_topic = f'{namespace}/camera_info'
    node.create_subscription(CameraInfo, info_topic, infos.append, qos)
    _wait(node, lambda: False, seconds)
    if not frames:
        advice = 'frames are lost in the transport: set the Fast DDS profile on both ends'
        yield Finding('error', topic, f'a publisher, but no frame in {seconds:g} s', advice)
        return
    yield _rate(topic, frames)
    message = frames[-1][1]
    if kind is Image:
        yield _encoding(topic, message)
    if not infos:
        yield Finding('warning', info_topic, 'no message', 'masks come without camera_info')
    elif kind is Image and (infos[-1].width, infos[-1].height) != (message.width, message.height):
        yield Finding(
            'warning',
            info_topic,
            f'{infos[-1].width}x{infos[-1].height}, the image is {message.width}x{message.height}',
        )
    else:
        yield Finding('ok', info_topic, 'there')


def _rate(topic: str, frames: list[tuple[float, Any]]) -> Finding:
    span = frames[-1][0] - frames[0][0]
    rate = (len(frames) - 1) / span if span > 0 else 0.0
    return Finding('ok', topic, f'{rate:.1f} frames/s, {len(frames)} in all')


def _encoding(topic: str, message: Any) -> Finding:
    size = f'{message.width}x{message.height} {message.encoding}, step {message.step}'
    if message.encoding not in ENCODINGS:
        return Finding('error', topic, size, f'expected one of {", ".join(sorted(ENCODINGS))}')
    return Finding('ok', topic, size)
