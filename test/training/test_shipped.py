"""The model file that ships: what it says of itself, and that it sees roads."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from seg_node.model.spec import ModelSpec
from seg_node_training.config import SetPart, load_recipe
from seg_node_training.evaluate import evaluate_sets, figures
from seg_node_training.graph import convolution_names, unquantized_convolutions
from seg_node_training.runtimes import onnxruntime_scorer

MODEL = Path(__file__).resolve().parents[2] / 'models' / 'lane_light_unet_int8.onnx'


@pytest.fixture(scope='module')
def spec() -> ModelSpec:
    metadata = {p.key: p.value for p in onnx.load(MODEL).metadata_props}
    return ModelSpec.from_metadata(str(MODEL), metadata)


def test_everything_but_the_head_is_int8():
    assert unquantized_convolutions(MODEL) == convolution_names(MODEL)[-1:]
    assert MODEL.stat().st_size < 8 * 2**20


def test_it_says_what_it_was_trained_on_and_how_good_it_is(spec):
    assert spec.precision == 'int8'
    assert spec.classes.names == ('background', 'road', 'lane_marking')
    assert spec.source_revision
    assert all(entry['licence'] for entry in spec.training_data)
    names = {entry['name'] for entry in spec.training_data}
    assert not names & {'camseq01', 'camvid_road', 'camvid_val', 'carla_samples'}
    fp32, int8 = spec.metrics['fp32'], spec.metrics['int8']
    assert set(fp32) == set(int8)
    for key, value in fp32.items():
        assert value - int8[key] <= 0.01, key
    card = (MODEL.parent / 'README.md').read_text(encoding='utf-8')
    for value in int8.values():
        assert f'**{value:.3f}**' in card


def test_it_sees_roads_on_photos_it_was_not_trained_on(spec, shared_data):
    recipe = load_recipe('light_unet')
    data = recipe.data.model_copy(update={'root': str(shared_data)})
    recipe = recipe.model_copy(update={'data': data})
    part = SetPart(
        name='photos',
        path='labelled/roboflow_road',
        split='val.txt',
        knows='road',
        limit=8,
    )
    result = figures(evaluate_sets(onnxruntime_scorer(MODEL), recipe, [part], spec.thresholds))
    assert result['photos/road'] >= 0.85
