"""What the demo writes of the sets that it recorded."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')

from sensor_msgs.msg import Image

from seg_node.class_map import load_class_map
from seg_node.classes import LANE, LANE_TYPES
from seg_node.demo.outcome import DemoOutcome
from seg_node.images.frames import fill_image
from seg_node.ros.recorder import FrameSet

ROAD, ROAD_LINE = 1, 24
"""Tags of CARLA 0.9.14."""


def frame_set(mask: np.ndarray) -> FrameSet:
    """The left half is road, a stripe in it a marking; the rest is neither."""
    tags = np.zeros((32, 64), np.uint8)
    tags[:, :32] = ROAD
    tags[:, 10:14] = ROAD_LINE
    picture = np.full((32, 64, 3), 90, np.uint8)
    parts = {'image': (picture, 'bgr8'), 'mask': (mask, 'mono8'), 'truth': (tags, 'mono8')}
    messages = {name: fill_image(Image(), *part) for name, part in parts.items()}
    return FrameSet(messages, {'image': 1.0, 'mask': 1.012})


def mask_of(ego: int, other: int, line: int) -> np.ndarray:
    mask = np.zeros((32, 64), np.uint8)
    mask[:, :20], mask[:, 20:32], mask[:, 10:14] = ego, other, line
    return mask


@pytest.mark.parametrize(
    ('classes', 'mask'), [(LANE, mask_of(1, 1, 2)), (LANE_TYPES, mask_of(1, 2, 4))]
)
def test_masks_are_scored_by_what_their_classes_mean(classes, mask, tmp_path):
    truth = load_class_map('carla_0_9_14')
    with DemoOutcome(tmp_path, 10.0, truth, classes, 1) as outcome:
        outcome.add(frame_set(mask))
        figures = outcome.figures({}, {'frames_received': 1})
    assert figures['iou'] == {'road': 1.0, 'lane_marking': 1.0}
    assert figures['frames_recorded'] == 1
    assert (tmp_path / 'overlay_00000.jpg').exists()
    assert (tmp_path / 'overlay.mp4').exists()
