"""Class sets: ids that others depend on, names in any spelling."""

from __future__ import annotations

import pytest

from seg_node.classes import LANE, LANE_TYPES, UNLABELED, ClassSet
from seg_node.errors import ConfigError


def test_ids_that_others_depend_on():
    assert LANE.names == ('background', 'road', 'lane_marking')
    assert LANE_TYPES.names == (
        'background',
        'ego_lane',
        'other_lane',
        'double_line',
        'dashed_line',
        'single_line',
    )
    assert UNLABELED == 255


def test_a_class_that_is_not_there():
    with pytest.raises(ConfigError, match="'kerb': expected one of background, road"):
        LANE.id_of('kerb')


def test_every_class_has_its_colour():
    with pytest.raises(ConfigError, match='2 names and 1 colours'):
        ClassSet(('a', 'b'), ((0, 0, 0),))
