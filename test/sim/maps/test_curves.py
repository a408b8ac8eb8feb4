"""Reference lines of every geometry kind, against the real client's own reading of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from seg_node_sim.maps.curves import evaluate, lane_edges, stations
from seg_node_sim.maps.markings import markings
from seg_node_sim.maps.opendrive import parse

carla = pytest.importorskip('carla')

ROAD = """<?xml version="1.0"?>
<OpenDRIVE><header revMajor="1" revMinor="4"/>
<road name="r" length="{length}" id="3" junction="-1"><link/>
<planView><geometry s="0" x="5" y="-7" hdg="0.4" length="{length}">{shape}</geometry></planView>
<elevationProfile/><lateralProfile/>
<lanes><laneOffset s="0" a="0.5" b="0.01" c="0" d="0"/>
<laneSection s="0"><center><lane id="0" type="none"><roadMark sOffset="0" type="solid"
 color="yellow" width="0.12"/></lane></center>
<right><lane id="-1" type="driving"><link/><width sOffset="0" a="3" b="0.02" c="0" d="0"/>
<width sOffset="20" a="3.4" b="0" c="0" d="0"/>
<roadMark sOffset="0" type="none" color="standard" width="0.15"/>
<roadMark sOffset="10" type="broken" color="standard" width="0.15"/></lane></right>
</laneSection></lanes><objects/><signals/></road></OpenDRIVE>"""

SHAPES = {
    'line': '<line/>',
    'arc': '<arc curvature="-0.02"/>',
    'spiral': '<spiral curvStart="0.001" curvEnd="0.03"/>',
    'turning spiral': '<spiral curvStart="-0.02" curvEnd="0.02"/>',
    'paramPoly3': '<paramPoly3 pRange="arcLength" aU="0" bU="1" cU="0" dU="-1e-6"'
    ' aV="0" bV="0" cV="0.002" dV="-1e-5"/>',
    'normalized': '<paramPoly3 pRange="normalized" aU="0" bU="39.9" cU="0" dU="0"'
    ' aV="0" bV="0" cV="3" dV="-1"/>',
}


@pytest.mark.parametrize('name', SHAPES)
def test_geometry_is_the_clients(name):
    text = ROAD.format(length=40.0, shape=SHAPES[name])
    client_map = carla.Map('m', text)
    road = parse(text).roads[3]
    # the client integrates curved polynomials in steps of its own
    tolerance = 0.1 if 'oly' in name or name == 'normalized' else 0.003
    for s in (0.5, 7.0, 20.5, 33.0, 39.0):
        waypoint = client_map.get_waypoint_xodr(3, -1, s)
        at = np.array([s])
        line, edges = evaluate(road, at), lane_edges(road, road.sections[0], at)
        middle = line.offset(0.5 * (edges[0] + edges[-1]))[0]
        location = waypoint.transform.location
        assert math.hypot(middle[0] - location.x, middle[1] - location.y) < tolerance
        assert float((edges[0] - edges[-1])[0]) == pytest.approx(waypoint.lane_width, abs=1e-4)


def test_poly3_follows_its_cubic():
    shape = '<poly3 a="0" b="0" c="0.004" d="-0.00002"/>'
    road = parse(ROAD.format(length=40.0, shape=shape)).roads[3]
    line = evaluate(road, np.linspace(0.0, 40.0, 200))
    c, n = math.cos(0.4), math.sin(0.4)
    x, y = line.x - 5.0, -line.y + 7.0
    u, v = c * x + n * y, -n * x + c * y
    assert v == pytest.approx(0.004 * u**2 - 0.00002 * u**3, abs=2e-3)
    steps = np.hypot(np.diff(line.x), np.diff(line.y))
    assert steps == pytest.approx(40.0 / 199, rel=2e-3)  # s is arc length


def test_polylines_stay_within_two_millimetres_of_the_curve():
    road = parse(ROAD.format(length=40.0, shape='<arc curvature="0.08"/>')).roads[3]
    s = stations(road, 0.0, 40.0)
    line, between = evaluate(road, s), evaluate(road, 0.5 * (s[1:] + s[:-1]))
    sagitta = np.hypot(
        0.5 * (line.x[1:] + line.x[:-1]) - between.x, 0.5 * (line.y[1:] + line.y[:-1]) - between.y
    )
    assert sagitta.max() < 0.002


def test_marks_start_where_the_map_says():
    opendrive = parse(ROAD.format(length=40.0, shape='<line/>'))
    dashes = [m for m in markings(opendrive) if m.lane == -1]
    start = evaluate(opendrive.roads[3], np.array([10.0]))
    first = min(dashes, key=lambda m: np.hypot(m.edge[0, 0] - 5, m.edge[0, 1] - 7))
    along = np.array([math.cos(start.heading[0]), math.sin(start.heading[0])])
    offset = first.edge[0] - np.array([start.x[0], start.y[0]])
    assert offset @ along == pytest.approx(0.0, abs=1e-6)
    assert {m.kind for m in dashes} == {'broken'}
    assert all(m.colour == 'white' for m in dashes)
