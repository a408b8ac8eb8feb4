"""What a label image means: found out from its codes, or told; and scored accordingly."""

from __future__ import annotations

import numpy as np
import pytest

from seg_node.errors import ConfigError, InputError
from seg_node.images.frames import Frame
from seg_node.replay.scoring import choose_scoring
from seg_node.replay.truth import choose_coding

# background, road, marking in rows: sky above, road below with a line in it.
WANTED = np.zeros((20, 30), np.uint8)
WANTED[10:] = 1
WANTED[10:, 14:16] = 2


def coded(codes: tuple[int, int, int]) -> np.ndarray:
    return np.array(codes, np.uint8)[WANTED]


@pytest.mark.parametrize(
    ('codes', 'name'),
    [((11, 1, 24), 'carla_0_9_14'), ((13, 7, 6), 'carla_0_9_13'), ((0, 1, 2), 'ids')],
)
def test_id_images_are_recognized(codes, name):
    frame = Frame(coded(codes), 'mono')
    coding = choose_coding('auto', [frame])
    assert coding.how.startswith(f'{name}: detected')
    assert np.array_equal(coding.labels(frame), WANTED)


@pytest.mark.parametrize('order', ['bgra', 'bgr', 'rgb', 'rgba'])
def test_raw_tags_in_the_red_channel(order):
    """CARLA's native ROS 2: the tag stands in red, the rest is 0, alpha 255."""
    pixels = np.zeros((*WANTED.shape, len(order)), np.uint8)
    pixels[..., order.index('r')] = coded((11, 1, 24))
    if len(order) == 4:
        pixels[..., 3] = 255
    coding = choose_coding('auto', [Frame(pixels, order)])
    assert (coding.class_map.name, coding.channel) == ('carla_0_9_14', 'red')
    assert np.array_equal(coding.labels(Frame(pixels, order)), WANTED)


PALETTES = {
    'carla_palette': ((70, 130, 180), (128, 64, 128), (157, 234, 50)),
    'camvid': ((128, 128, 128), (128, 64, 128), (128, 0, 192)),
    'comma10k': ((128, 128, 96), (64, 32, 32), (255, 0, 0)),
}


@pytest.mark.parametrize('order', ['bgr', 'rgb', 'bgra', 'rgba'])
@pytest.mark.parametrize('name', PALETTES)
def test_palettes_are_recognized(name, order):
    rgb = np.array(PALETTES[name], np.uint8)[WANTED]
    alpha = np.full((*WANTED.shape, 1), 255, np.uint8)
    rgba = np.concatenate([rgb, alpha], axis=2)
    pixels = np.ascontiguousarray(rgba[..., ['rgba'.index(letter) for letter in order]])
    coding = choose_coding('auto', [Frame(pixels, order)])
    assert (coding.class_map.name, coding.channel) == (name, 'colours')
    assert np.array_equal(coding.labels(Frame(pixels, order)), WANTED)


def test_unknown_codes_ask_for_a_class_map():
    with pytest.raises(InputError, match='ids seen: 40, 90, 200'):
        choose_coding('auto', [Frame(coded((200, 40, 90)), 'mono')])
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    with pytest.raises(InputError, match='no palette fits'):
        choose_coding('auto', [Frame(noise, 'bgr')])


def test_chosen_map_is_stated_and_used():
    coding = choose_coding('carla_0_9_13', [Frame(coded((13, 7, 6)), 'mono')])
    assert coding.how == 'carla_0_9_13 version 1: chosen'
    assert np.array_equal(coding.labels(Frame(coded((13, 7, 6)), 'mono')), WANTED)
    with pytest.raises(ConfigError, match='file or one of auto, ids'):
        choose_coding('carla', [])


@pytest.mark.parametrize(
    ('name', 'names'),
    [
        ('cityscapes', ('background', 'road')),
        ('bdd100k', ('background', 'road')),
        ('carla_0_9_14', ('background', 'road', 'lane_marking')),
    ],
)
def test_maps_without_markings_are_scored_as_road_only(name, names):
    coding = choose_coding(name, [Frame(coded((11, 1, 24)), 'mono')])
    assert choose_scoring(coding, 'auto').names == names


def test_lanes_only_leaves_the_road_to_the_background():
    scoring = choose_scoring(choose_coding('ids', []), 'lanes')
    assert scoring.names == ('background', 'lane_marking')
    assert scoring.truth_lut()[[0, 1, 2, 255]].tolist() == [0, 0, 1, 255]
