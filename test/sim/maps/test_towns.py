"""The towns as the real client sees them, and what we derive from the same OpenDRIVE text."""

from __future__ import annotations

import math

import numpy as np
import pytest

from seg_node.errors import InputError
from seg_node_sim.maps import load_town, town_from_opendrive, town_names
from seg_node_sim.maps.curves import evaluate, lane_edges
from seg_node_sim.maps.markings import markings
from seg_node_sim.maps.opendrive import parse

carla = pytest.importorskip('carla')


@pytest.fixture(scope='module', params=town_names())
def world(request):
    town = load_town(request.param)
    return town, carla.Map(town.name, town.xodr), parse(town.xodr, town.name)


def test_no_dead_ends_and_lanes_go_on_smoothly(world):
    town, client_map, _ = world
    for waypoint in client_map.generate_waypoints(4.0):
        if waypoint.lane_type != carla.LaneType.Driving:
            continue
        following = waypoint.next(2.0)
        assert following, f'{town.name}: dead end at {waypoint.transform.location}'
        for other in following:
            gap = waypoint.transform.location.distance(other.transform.location)
            turn = abs(
                math.remainder(other.transform.rotation.yaw - waypoint.transform.rotation.yaw, 360)
            )
            assert 1.2 < gap < 2.9
            assert turn < 25.0


def test_lane_edges_are_the_clients(world):
    _, client_map, opendrive = world
    for waypoint in client_map.generate_waypoints(7.0):
        road = opendrive.roads[waypoint.road_id]
        section = road.sections[waypoint.section_id]
        s = np.array([waypoint.s])
        edges = lane_edges(road, section, s)
        outer = edges[waypoint.lane_id]
        inner = edges[waypoint.lane_id - int(math.copysign(1, waypoint.lane_id))]
        middle = evaluate(road, s).offset(0.5 * (outer + inner))[0]
        location = waypoint.transform.location
        assert math.hypot(middle[0] - location.x, middle[1] - location.y) < 0.005
        assert abs(outer - inner)[0] == pytest.approx(waypoint.lane_width, abs=1e-4)


def test_mark_types_and_colours_are_the_clients(world):
    """For places with a solid or broken mark the client names the same type and colour."""
    _, client_map, opendrive = world
    names = {'solid': 'Solid', 'broken': 'Broken', 'solid_solid': 'SolidSolid'}
    checked = 0
    for marking in markings(opendrive)[::7]:
        # only right-hand lanes: their outer mark is the client's right one
        if marking.kind not in names or marking.lane >= 0 or marking.edge is None:
            continue
        middle = len(marking.edge) // 2
        x, y = marking.edge[middle]
        waypoint = client_map.get_waypoint_xodr(
            marking.road, marking.lane, _arc_length(opendrive.roads[marking.road], x, y)
        )
        if waypoint is None:
            continue
        seen = waypoint.right_lane_marking
        if str(seen.type) == 'NONE':  # within a metre of where the mark begins or ends
            continue
        assert str(seen.type) == names[marking.kind]
        assert str(seen.color).lower() == marking.colour
        checked += 1
    assert checked > 0


def _arc_length(road, x, y):
    s = np.linspace(0.0, road.length, int(road.length * 4) + 2)
    line = evaluate(road, s)
    return float(s[np.argmin(np.hypot(line.x - x, line.y - y))])


def test_spawn_points_lie_on_lanes_along_traffic(world):
    town, client_map, _ = world
    assert len(town.spawn_points) >= 40
    for pose in town.spawn_points:
        waypoint = client_map.get_waypoint(carla.Location(pose.x, pose.y, 0.0))
        assert waypoint.lane_type == carla.LaneType.Driving
        assert not waypoint.is_junction
        turn = math.remainder(pose.yaw - waypoint.transform.rotation.yaw, 360.0)
        assert abs(turn) < 1.0
        offset = waypoint.transform.location.distance(carla.Location(pose.x, pose.y, 0.0))
        assert offset < 0.5  # the client looks places up in steps along the lane


def test_every_kind_of_marking_occurs():
    found = {(m.kind, m.colour) for n in town_names() for m in markings(parse(load_town(n).xodr))}
    for wanted in (
        ('solid', 'white'), ('solid', 'yellow'), ('broken', 'white'), ('broken', 'yellow'),
        ('solid_solid', 'yellow'), ('solid_solid', 'white'), ('solid_broken', 'yellow'),
        ('stop_line', 'white'), ('crosswalk', 'white'), ('arrow', 'white'), ('bay', 'white'),
    ):  # fmt: skip
        assert wanted in found


def test_crosswalks_are_known_to_the_client():
    town = load_town('Grid')
    assert len(carla.Map('Grid', town.xodr).get_crosswalks()) >= 5 * 8


def test_dashes_have_the_length_the_map_names():
    opendrive = parse(load_town('Highway').xodr)
    dashes = [m for m in markings(opendrive) if m.broken]
    lengths = [np.hypot(*np.diff(m.points, axis=0).T).sum() for m in dashes]
    assert np.median(lengths) == pytest.approx(3.0, abs=0.15)  # longer outside of a bend


def test_double_lines_lie_on_both_sides_of_the_edge():
    opendrive = parse(load_town('Grid').xodr)
    doubles = [m for m in markings(opendrive) if m.kind == 'solid_solid']
    assert doubles
    for marking in doubles:
        gap = np.linalg.norm(marking.points - marking.edge, axis=1)
        assert gap == pytest.approx(0.12, abs=1e-6)


def test_seed_changes_no_lane():
    assert load_town('Grid', 1).xodr == load_town('Grid', 2).xodr


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('nonsense', 'expected OpenDRIVE XML'),
        ('<a/>', 'expected a root element OpenDRIVE'),
        ('<OpenDRIVE/>', 'at least one road'),
        ('<OpenDRIVE><road id="1" length="5"/></OpenDRIVE>', 'planView'),
    ],
)
def test_bad_maps_are_named_in_one_line(text, said):
    with pytest.raises(InputError) as error:
        town_from_opendrive('mine', text)
    assert said in str(error.value)
    assert 'mine' in str(error.value)
    assert '\n' not in str(error.value)


def test_unknown_town():
    with pytest.raises(InputError, match='expected one of Highway'):
        load_town('Town42')
