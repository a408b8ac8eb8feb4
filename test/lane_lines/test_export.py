"""Lane lines as files: our own JSON, TuSimple's, OpenLane's; and the verbs that write them."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from seg_node.cli import main
from seg_node.lane_lines.estimator import EstimatorOptions, LaneLineEstimator
from seg_node.lane_lines.export import as_record, openlane, project_line, tusimple


@pytest.fixture
def seen(drawn):
    road = drawn.Road()
    estimator = LaneLineEstimator(EstimatorOptions(classes=(2,)))
    mask = road.draw([drawn.Stripe(1.7), drawn.Stripe(-1.8)])
    return road, mask, estimator.step(mask, road.view())


def test_a_line_projects_onto_its_paint(drawn, seen):
    road, mask, lines = seen
    for line in lines.lines:
        pixels = np.round(project_line(line, road.view(), road.intrinsics)).astype(int)
        on = mask[pixels[:, 1], pixels[:, 0]] == drawn.LANE
        assert on.mean() > 0.9


def test_our_own_record(seen):
    record = as_record('a', seen[2])
    left, right = record['lines']
    assert (left['place'], right['place']) == ('left_1', 'right_1')
    assert len(left['points']) == len(left['deviation_m'])
    assert record['ego_lane'][3][1] == pytest.approx(-0.05, abs=0.05)
    json.dumps(record, allow_nan=False)


def test_tusimple_has_a_column_for_every_row_and_lane(drawn, seen):
    road, mask, lines = seen
    label = tusimple('clip/1.jpg', lines, road.view(), road.intrinsics)
    assert len(label['h_samples']) == 56
    assert label['h_samples'][0] == 80
    left, right = label['lanes']
    hits = 0
    for columns, side in ((left, -1), (right, 1)):
        assert len(columns) == 56
        for row, column in zip(label['h_samples'], columns):
            if column >= 0:
                assert side * (column - 320) > 0
                hits += mask[row, min(column, 639)] == drawn.LANE
    assert hits > 30


def test_openlane_agrees_with_itself(seen):
    road, _, lines = seen
    frame = openlane('a.jpg', lines, road.view(), road.intrinsics)
    k, left = np.array(frame['intrinsic']), frame['lane_lines'][0]
    xyz, uv = np.array(left['xyz']), np.array(left['uv'])
    assert xyz.shape[0] == 3 and uv.shape == (2, xyz.shape[1]) == (2, len(left['visibility']))
    pixels = k @ xyz
    assert np.abs(pixels[:2] / pixels[2] - uv).max() < 0.2
    in_vehicle = np.array(frame['extrinsic']) @ np.vstack([xyz, np.ones(xyz.shape[1])])
    assert np.abs(in_vehicle[2]).max() < 0.01
    assert (left['attribute'], left['category']) == (2, 2)


@pytest.fixture
def pictures(drawn, tmp_path):
    """A drive as pictures whose colours the contract model takes for its classes."""
    folder = tmp_path / 'drive'
    folder.mkdir()
    road = drawn.Road()
    colours = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)
    for i in range(45):
        stripes = [drawn.Stripe(1.7, dash=3.0, gap=6.0), drawn.Stripe(-1.8), drawn.Stripe(5.2)]
        cv2.imwrite(str(folder / f'{i:03d}.png'), colours[road.draw(stripes, 1.0 * i)])
    return folder


@pytest.mark.parametrize('form', ['json', 'tusimple', 'openlane'])
def test_segment_writes_the_lines_of_a_folder(
    make_contract_model, pictures, tmp_path, capsys, form
):
    model = make_contract_model(tmp_path / 'model.onnx', 640, 352)
    path = tmp_path / 'lanes.json'
    words = ['segment', str(pictures), '-o', str(tmp_path / 'masks'), '--model', str(model)]
    words += ['--no-cache', '--lanes', str(path), '--lanes-format', form, '--camera-height', '1.6']
    assert main(words) == 0
    said = capsys.readouterr().out
    assert 'camera: pitch' in said
    if form == 'json':
        written = json.loads(path.read_text())
        assert len(written['frames']) == 45
        assert written['self_calibration']['pitch_deg'] == pytest.approx(0.0, abs=0.3)
        lines = written['frames'][-1]['lines']
        assert [line['place'] for line in lines] == ['left_2', 'left_1', 'right_1']
        assert [line['type'] for line in lines] == ['solid', 'dashed', 'solid']
    else:
        records = [json.loads(line) for line in path.read_text().splitlines()]
        assert len(records) == 45
        key = {'tusimple': 'lanes', 'openlane': 'lane_lines'}[form]
        assert len(records[-1][key]) == 3


def test_a_camera_that_cannot_be_is_refused(contract_model, pictures, tmp_path, capsys):
    words = ['segment', str(pictures), '-o', str(tmp_path / 'm'), '--model', str(contract_model)]
    assert main([*words, '--lanes', str(tmp_path / 'l.json'), '--camera-height', '0']) == 1
    assert '--camera-height above 0 m' in capsys.readouterr().err
