"""The model that ships: described in full, the same in every runtime, and it sees roads."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from seg_node.classes import LANE
from seg_node.decide import Decider
from seg_node.files import list_images
from seg_node.images.frames import Frame
from seg_node.model.loader import default_model, load_model
from seg_node.model.runner import RunOptions
from seg_node.pipeline import Segmenter


@pytest.fixture(scope='module')
def runners():
    return {
        backend: load_model(None, RunOptions(backend)).runner
        for backend in ('openvino', 'onnxruntime')
    }


@pytest.fixture(scope='module')
def picture() -> np.ndarray:
    """uint8 (360, 640, 3) BGR: a grey road with two white lines under a blue sky."""
    bgr = np.full((360, 640, 3), (200, 160, 120), np.uint8)
    cv2.fillPoly(bgr, [np.array([[300, 160], [340, 160], [640, 360], [0, 360]])], (90, 90, 90))
    for foot in (60, 580):
        cv2.line(bgr, (320, 160), (foot, 360), (240, 240, 240), 6)
    return cv2.GaussianBlur(bgr, (5, 5), 0)


def test_it_says_what_it_is(runners):
    spec = runners['openvino'].spec
    assert spec.classes.names == LANE.names
    assert spec.precision == 'int8'
    assert spec.training_data
    assert all(item.get('name') and item.get('licence') for item in spec.training_data)
    assert spec.metrics
    assert spec.tools
    path = default_model()
    card = path.with_name(f'{path.stem.removesuffix("_int8")}.md').read_text(encoding='utf-8')
    for item in spec.training_data:
        assert item['name'] in card


@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
def test_a_mask_in_the_graph_is_our_decision_on_its_scores(backend, picture):
    """Of the file of contract 1 that was the default before."""
    earlier = default_model().with_name('lane_light_unet_int8.onnx')
    runner = load_model(earlier, RunOptions(backend)).runner
    size = (runner.network.width, runner.network.height)
    runner.input[...] = cv2.resize(picture, size)
    output = runner.run()
    np.testing.assert_array_equal(Decider(runner.spec)(list(output.scores)), output.mask)


def test_both_runtimes_agree(runners, picture):
    masks = {
        name: Segmenter(runner)(Frame(picture, 'bgr')).mask.copy()
        for name, runner in runners.items()
    }
    assert (masks['openvino'] == masks['onnxruntime']).mean() > 0.99


def test_it_finds_the_road_of_photos(runners, shared_data):
    """A smoke test on a few kept-back photos; the figures are measured by the benchmark."""
    folder = shared_data / 'labelled' / 'camseq01'
    segmenter = Segmenter(runners['openvino'])
    intersection = union = 0
    for path in list_images(folder / 'images')[::12]:
        mask = segmenter(Frame(cv2.imread(str(path)), 'bgr')).mask >= 1
        label = cv2.imread(str(folder / 'labels' / f'{path.stem}.png'), cv2.IMREAD_UNCHANGED)
        known = label != 255
        road = (label == 1) | (label == 2)
        intersection += (mask & road & known).sum()
        union += ((mask | road) & known).sum()
    assert intersection / union > 0.5
