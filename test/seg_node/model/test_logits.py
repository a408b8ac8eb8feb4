"""Contract 2: what a byte means, where its pixel goes, and what a file must say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from seg_node.classes import LANE
from seg_node.decide import Decider
from seg_node.errors import ModelError
from seg_node.model.logits import LogitCode, unshuffled
from seg_node.model.runner import Port, check_contract
from seg_node.model.spec import ModelSpec

SPEC = ModelSpec('x', LANE, 'sigmoid', encoding='logits', patch=4, temperatures=(1.0, 2.0))


def test_a_table_is_the_sigmoid_of_what_the_byte_stands_for():
    code = LogitCode(0.125, 100, (1.0, 2.0))
    for k, temperature in enumerate(code.temperatures):
        for byte in (0, 99, 100, 140, 255):
            p = 1 / (1 + np.exp(-(byte - 100) * 0.125 / temperature))
            assert abs(code.tables[k][byte] - 255 * p) <= 0.5


def test_a_threshold_on_the_byte_decides_like_one_on_the_score():
    code = SPEC.logit_code
    bytes_ = np.arange(256)
    for thresholds in ((1, 1), (128, 90), (254, 255)):
        for table, level, threshold in zip(code.tables, code.levels(thresholds), thresholds):
            np.testing.assert_array_equal(bytes_ >= level, table >= threshold)


def test_a_threshold_that_no_byte_reaches_leaves_nothing():
    code = LogitCode(1 / 64, 128, (1.0, 1.0))
    assert code.levels((250, 250)) == (256, 256)
    spec = replace(SPEC, logit_scale=1 / 64, thresholds=(250, 250))
    planes = [np.full((3, 3), 255, np.uint8)] * 2
    assert (Decider(spec)(planes) == 0).all()


@pytest.mark.parametrize('patch', [1, 2, 4, 8])
def test_patches_go_where_a_pixel_shuffle_puts_them(patch):
    rng = np.random.default_rng(patch)
    count, height, width = 3, 5, 7
    patches = rng.integers(0, 256, (height, width, count * patch**2), np.uint8)
    expected = patches.reshape(height, width, count, patch, patch).transpose(2, 0, 3, 1, 4)
    expected = expected.reshape(count, height * patch, width * patch)
    out = np.empty(expected.shape, np.uint8)
    np.testing.assert_array_equal(unshuffled(patches, out), expected)


def test_thresholds_can_be_told_while_it_runs():
    decide = Decider(SPEC)
    planes = [np.full((2, 2), 128, np.uint8), np.full((2, 2), 100, np.uint8)]
    assert (decide(planes) == 1).all()
    decide.thresholds = (128, 60)
    assert (decide(planes) == 2).all()


def test_the_metadata_survives_and_names_contract_2():
    metadata = SPEC.to_metadata()
    assert metadata['contract'] == '"seg_node/2"'
    assert ModelSpec.from_metadata('x', metadata) == SPEC


def test_contract_1_says_nothing_of_logits():
    metadata = ModelSpec('x', LANE, 'sigmoid').to_metadata()
    assert metadata['contract'] == '"seg_node/1"'
    assert not {'encoding', 'patch', 'temperatures'} & set(metadata)


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'head': 'softmax', 'thresholds': ()}, 'sigmoid heads'),
        ({'patch': 3}, 'patch: expected one of'),
        ({'temperatures': (1.0,)}, 'temperatures: expected 2'),
        ({'temperatures': (1.0, 0.0)}, 'temperatures: expected 2'),
        ({'logit_scale': 0.0}, 'logit_scale'),
        ({'logit_zero': 300}, 'logit_zero'),
        ({'encoding': 'floats'}, 'encoding: expected one of'),
    ],
)
def test_what_cannot_be_is_refused_by_name(changes, said):
    with pytest.raises(ModelError, match=said):
        replace(SPEC, **changes)


@pytest.mark.parametrize(
    ('port', 'height'),
    [
        (None, 32),
        (Port('logits', 'float32', (1, 8, 16, 32)), 32),
        (Port('logits', 'uint8', (1, 32, 8, 16)), 32),
        (Port('logits', 'uint8', (1, 8, 16, 32)), 34),
    ],
)
def test_ports_that_do_not_fit_are_refused(port, height):
    image = Port('image', 'uint8', (1, height, 64, 3))
    with pytest.raises(ModelError, match=r'logits: expected uint8|divisible by patch'):
        check_contract('f', [image], [port] if port else [], SPEC)


def test_ports_that_fit_need_no_mask():
    image = Port('image', 'uint8', (1, 32, 64, 3))
    size = check_contract('f', [image], [Port('logits', 'uint8', (1, 8, 16, 32))], SPEC)
    assert (size.width, size.height) == (64, 32)
