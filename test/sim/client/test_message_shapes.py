"""Images as ros-bridge and CARLA's own ROS 2 interface send them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from seg_node.camera.depth import decode_depth_image
from seg_node.class_map import load_class_map
from seg_node.images.frames import decode
from seg_node_sim.client import tags

RNG = np.random.default_rng(0)


def image(pixels: np.ndarray, encoding: str) -> SimpleNamespace:
    return SimpleNamespace(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels.strides[0],
        data=pixels.tobytes(),
    )


def test_rgb_of_both_is_bgra8() -> None:
    bgra = RNG.integers(0, 255, (12, 20, 4), np.uint8)
    assert (decode(image(bgra, 'bgra8')).bgr() == bgra[..., :3]).all()


def test_ros_bridge_semantic_is_palette_bgra8() -> None:
    raw = RNG.choice(np.array([1, 24, 7, 14, 0], np.uint8), (12, 20))
    bgr = tags.Palette(28, 'new').paint(raw)
    bgra = np.dstack([bgr, np.full(raw.shape, 255, np.uint8)])
    rgb = decode(image(bgra, 'bgra8')).bgr()[..., ::-1]
    ids = load_class_map('carla_palette').apply_colours(rgb)
    assert (ids == load_class_map('carla_0_9_14').apply_ids(raw)).all()


def test_native_semantic_is_bgra8_with_the_tag_in_red() -> None:
    raw = RNG.integers(0, 29, (12, 20), np.uint8)
    zero = np.zeros_like(raw)
    bgra = np.dstack([zero, zero, raw, zero + 255])
    assert (decode(image(bgra, 'bgra8')).bgr()[..., 2] == raw).all()


def test_ros_bridge_depth_is_32fc1_metres() -> None:
    metres = RNG.uniform(0.5, 900.0, (12, 20)).astype(np.float32)
    assert (decode_depth_image(image(metres, '32FC1')).pixels == metres).all()
