"""Shapes painted on lanes that are no lane lines: arrows, stop lines, crosswalks, bays."""

from __future__ import annotations

from seg_node_sim.maps.builder import Arm, Network, Profile, RoadPlan

CROSSWALK_WIDTH = 3.0
CROSSWALK_AT = 1.0  # metres between the road's end and the crosswalk
STOP_AT = 5.2  # metres between the road's end and the far side of the stop line
STOP_WIDTH = 0.4
BARE = STOP_AT + 0.0

Outline = list[tuple[float, float]]

STRAIGHT: Outline = [
    (-2.0, -0.08), (0.6, -0.08), (0.6, -0.38), (2.0, 0.0),
    (0.6, 0.38), (0.6, 0.08), (-2.0, 0.08),
]  # fmt: skip
LEFT: Outline = [
    (-2.0, -0.08), (0.9, -0.08), (1.15, 0.1), (1.15, 0.45), (1.6, 0.45),
    (0.95, 1.05), (0.3, 0.45), (0.75, 0.45), (0.75, 0.18), (0.65, 0.08), (-2.0, 0.08),
]  # fmt: skip


def mirrored(outline: Outline) -> Outline:
    """The same shape for the other hand."""
    return [(u, -v) for u, v in reversed(outline)]


def _along(arm: Arm, distance: float, lateral: float) -> tuple[float, float, float]:
    """(s, t, heading offset) of a place `distance` metres before the junction.

    lateral: metres to the right of the centre line, seen by traffic that drives into the junction.
    The heading offset turns the shape's u axis into that direction of travel.
    """
    if arm.contact == 'end':
        return arm.road.length - distance, -lateral, 0.0
    return distance, lateral, 3.141592653589793


def _span(profile: Profile, lanes: list[int]) -> tuple[float, float]:
    """Distance of the inner and the outer border of some lanes from the centre line."""
    edges = [abs(profile.inner_edge(i)) for i in lanes]
    return min(edges), max(e + profile.lane(i).width for e, i in zip(edges, lanes))


def stop_line(network: Network, arm: Arm, distance: float = STOP_AT) -> None:
    """A white bar across the lanes that lead into the junction."""
    lanes = arm.incoming()
    if not lanes:
        return
    inner, outer = _span(arm.road.profile, lanes)
    inner, outer = inner + 0.15, outer - 0.1
    s, t, heading = _along(arm, distance, (inner + outer) / 2.0)
    half = (outer - inner) / 2.0
    shape = [(0.0, -half), (STOP_WIDTH, -half), (STOP_WIDTH, half), (0.0, half)]
    network.mark_object(arm.road, 'roadMark', 'stop_line', s, t, shape, heading)


def yield_line(network: Network, arm: Arm, distance: float) -> None:
    """A row of triangles ("shark's teeth") across the lanes that lead in."""
    inner, outer = _span(arm.road.profile, arm.incoming())
    count = int((outer - inner - 0.3) / 0.7)
    for k in range(count):
        s, t, heading = _along(arm, distance, inner + 0.4 + 0.7 * k)
        shape = [(0.0, 0.0), (0.7, -0.25), (0.7, 0.25)]
        network.mark_object(arm.road, 'roadMark', 'stop_line', s, t, shape, heading)


def crosswalk(network: Network, arm: Arm, distance: float = CROSSWALK_AT) -> None:
    """A zebra across the whole carriageway; OpenDRIVE's own object type."""
    profile = arm.road.profile
    widths = []
    for side in (1, -1):
        widths.append(
            sum(lane.width for lane in profile.side(side) if lane.kind != 'sidewalk') - 0.15
        )
    left, right = widths
    s = arm.road.length - distance if arm.contact == 'end' else distance
    back = -CROSSWALK_WIDTH if arm.contact == 'end' else CROSSWALK_WIDTH
    shape = [(0.0, -right), (0.0, left), (back, left), (back, -right)]
    network.mark_object(arm.road, 'crosswalk', 'crosswalk', s, 0.0, shape)


def arrows(network: Network, arm: Arm, turns: dict[int, set[str]], distance: float) -> None:
    """Arrows for each incoming lane; turns: lane id -> subset of {'left', 'straight', 'right'}."""
    profile = arm.road.profile
    for lane in arm.incoming():
        middle = abs(profile.inner_edge(lane)) + profile.lane(lane).width / 2.0
        for word in sorted(turns.get(lane, ())):
            shape = {'straight': STRAIGHT, 'left': LEFT, 'right': mirrored(LEFT)}[word]
            # with several heads on one shaft, the bent ones sit lower
            place = distance + (0.5 if word != 'straight' and len(turns[lane]) > 1 else 0.0)
            s, t, heading = _along(arm, place, middle)
            network.mark_object(arm.road, 'roadMark', f'arrow_{word}', s, t, shape, heading)


def bays(
    network: Network,
    road: RoadPlan,
    side: int,
    first: float,
    last: float,
    inner: float,
    depth: float,
    width: float,
) -> None:
    """Perpendicular parking bays along a road: OpenDRIVE objects of type parkingSpace.

    side: +1 left, -1 right; inner: distance of the bays' mouth from the reference line. The
    outline starts with the mouth, which stays open.
    """
    count = int((last - first) / width)
    for k in range(count):
        s = first + (k + 0.5) * width
        half = width / 2.0
        shape = [(-half, 0.0), (half, 0.0), (half, side * depth), (-half, side * depth)]
        network.mark_object(road, 'parkingSpace', f'bay_{k}', s, side * inner, shape)
