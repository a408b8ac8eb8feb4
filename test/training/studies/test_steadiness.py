"""The study of hysteresis: a capture with a pixel that flickers, counted by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from seg_node_training.studies.steadiness import study


@pytest.fixture
def capture(tmp_path):
    """Two drives of four 64x32 frames: road all over, whose score swings about the threshold."""
    for folder in ('images', 'labels'):
        (tmp_path / folder).mkdir()
    for drive in range(2):
        for number, green in enumerate((140, 120, 140, 120)):
            name = f'Town_{drive:04d}_{number:05d}.png'
            picture = np.zeros((32, 64, 3), np.uint8)
            picture[..., 1] = green
            cv2.imwrite(str(tmp_path / 'images' / name), picture)
            cv2.imwrite(str(tmp_path / 'labels' / name), np.ones((32, 64), np.uint8))
    return tmp_path


def test_flicker_and_iou_with_and_without(contract_model, capture):
    without, with_it = study(contract_model, capture, [0, 20], None)
    assert without.row('x')[2:5] == [100.0, 100.0, pytest.approx(0.5)]
    assert with_it.row('x')[2:5] == [0.0, 0.0, pytest.approx(1.0)]
    assert without.ms == [] and len(with_it.ms) == 8


def test_a_folder_without_labels_has_no_iou(contract_model, capture):
    (trial,) = study(contract_model, capture / 'images', [20], 3)
    assert trial.road_and_marking() == (None, None)
    assert len(trial.ms) == 3
