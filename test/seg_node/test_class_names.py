"""One question, one answer: what a class is by its name, in the node and in the evaluation."""

from __future__ import annotations

import pytest

from seg_node.class_names import canonical, meaning, normalised
from seg_node.classes import LANE, ClassSet
from seg_node.errors import ConfigError
from seg_node.replay.scoring import Scoring, choose_scoring
from seg_node.rgbd import lane_ids, road_ids


@pytest.mark.parametrize(
    'name', ['Road Marking', 'road-marking', 'RoadMarking', ' road__marking ']
)
def test_spellings_become_one(name):
    assert normalised(name) == 'road_marking'
    assert canonical(name) == 'lane_marking'


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        *[(n, 'marking') for n in ('Road Marking', 'lane_lines', 'lane_mark', 'RoadLine')],
        *[(n, 'marking') for n in ('ROADLINES', 'Lane Marking - General', 'stop_line', 'lane')],
        *[(n, 'road') for n in ('Road', 'main_lane', 'alternate_lane', 'Drivable Area', 'ROAD')],
        *[(n, None) for n in ('sidewalk', 'Skyline', 'power line', 'plane', 'railroad', 'bike')],
    ],
)
def test_the_node_and_the_evaluation_agree(name, expected):
    assert meaning(name) == expected
    classes = ClassSet(('background', 'asphalt', name), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))
    table, _ = choose_scoring(None, 'auto').model_lut(classes)
    assert (
        LANE.names[table[2]]
        == {'marking': 'lane_marking', 'road': 'road', None: 'background'}[expected]
    )
    if expected == 'marking':
        assert lane_ids(classes) == (2,)
    else:
        with pytest.raises(ConfigError, match='lane-marking classes'):
            lane_ids(classes)
    if expected == 'road':
        assert road_ids(classes) == (2,)


def test_paint_under_any_spelling_is_part_of_the_road():
    """Compared raw, "Road Marking" would lose its depth in `road_only`."""
    classes = ClassSet(('Background', 'Road', 'Road Marking'), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))
    assert road_ids(classes) == (1, 2)
    assert lane_ids(classes) == (2,)
    assert classes.id_of('road_marking') == 2
    table, said = choose_scoring(None, 'all').model_lut(classes)
    assert table[:3].tolist() == [0, 1, 2]
    assert 'Road Marking as lane_marking' in said


def test_an_exact_name_goes_before_its_like():
    classes = ClassSet(('road', 'Road', 'x'), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))
    assert (classes.id_of('road'), classes.id_of('Road'), classes.id_of('ROAD')) == (0, 1, 0)


def test_names_of_lane_types_meet_their_like():
    names = ('background', 'ego_lane', 'other_lane', 'dashed_line')
    scoring = Scoring(names, (0, 1, 2, 3), 'every class of the labels')
    model = ClassSet(
        ('background', 'alternate_lane', 'Main Lane', 'broken_line'),
        ((0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 3, 3)),
    )
    assert scoring.model_lut(model)[0][:4].tolist() == [0, 2, 1, 3]
