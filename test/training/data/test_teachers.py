"""Soft targets: what is believed of two teachers and of a human."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from seg_node_training.data.folders import FolderSet
from seg_node_training.data.targets import UNKNOWN
from seg_node_training.data.teachers import SoftAnswers, soft_target

SHAPE = (40, 60)


def plane(value):
    return np.full(SHAPE, value, np.uint8)


def test_a_teachers_doubt_stays_doubt():
    target = soft_target(SoftAnswers(plane(160), plane(48)), None)
    assert (target[0] == 160).all()
    assert (target[1] == 48).all()
    assert (soft_target(SoftAnswers(plane(255), plane(255)), None) == 254).all()


def test_low_in_the_picture_two_teachers_must_agree():
    target = soft_target(SoftAnswers(plane(250), plane(0), older_road=plane(0)), None)
    assert (target[0][:20] == 250).all()
    assert (target[0][30:] == UNKNOWN).all()
    agreed = soft_target(SoftAnswers(plane(250), plane(0), older_road=plane(200)), None)
    assert (agreed[0] == 250).all()


def test_a_dash_that_only_the_older_teacher_sees_is_unknown():
    paint = plane(0)
    paint[5:8, 10:12] = 255
    target = soft_target(SoftAnswers(plane(250), plane(10), paint=paint), None)
    assert (target[1][5:8, 10:12] == UNKNOWN).all()
    assert (target[1][20:] == 10).all()


def test_a_human_is_right_about_the_road():
    human = plane(255)
    human[:10], human[30:] = 0, 1
    target = soft_target(SoftAnswers(plane(0), plane(0)), human)
    assert (target[0][30:] == 254).all()
    assert (target[0][15:25] == 0).all()
    target = soft_target(SoftAnswers(plane(254), plane(0)), human)
    assert (target[0][:10] == 0).all()


def test_paint_far_from_a_humans_road_is_none_and_near_it_is_unknown():
    human = plane(0)
    human[20:] = 1
    target = soft_target(SoftAnswers(None, plane(200)), human)
    assert (target[1][25:] == 200).all()
    assert (target[1][:5] == 0).all()
    assert (target[0][19] == UNKNOWN).all()


@pytest.mark.parametrize('knows', ['soft', 'road+soft', 'ego+soft'])
def test_a_folder_gives_what_its_files_say(tmp_path, knows):
    rng = np.random.default_rng(0)
    files = {
        'images/a.png': rng.integers(0, 256, (*SHAPE, 3), np.uint8),
        'labels/a.png': np.where(np.arange(SHAPE[0])[:, None] > 20, 1, 255).astype(np.uint8)
        * np.ones((1, SHAPE[1]), np.uint8),
        'teacher2_road/a.png': plane(200),
        'teacher2_mark/a.png': plane(30),
    }
    for name, picture in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), picture)
    data = FolderSet('set', tmp_path, knows)
    _, target = data.load(data.sources()[0])
    assert (target[1] == 30).all()
    expected_top = {'soft': 200, 'ego+soft': 200, 'road+soft': UNKNOWN}[knows]
    assert (target[0][:20] == expected_top).all()
    assert (target[0][25:] == (200 if knows == 'soft' else 254)).all()
