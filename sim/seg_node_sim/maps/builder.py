"""A small writer of OpenDRIVE 1.4 road networks: roads with cross-sections, and junctions.

Everything here is in OpenDRIVE's own axes (y left of x, radians). Traffic keeps right: lanes with
negative ids run along the reference line, those with positive ids against it.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Mark:
    """A road mark; lines are (length, space, t offset, width), length 0 for a solid line."""

    kind: str = 'none'
    colour: str = 'white'
    width: float = 0.15
    lines: tuple[tuple[float, float, float, float], ...] = ()


NONE = Mark()
CURB = Mark('curb', 'standard', 0.15)


def solid(colour: str = 'white', width: float = 0.15) -> Mark:
    """One unbroken line."""
    return Mark('solid', colour, width, ((0.0, 0.0, 0.0, width),))


def dashed(length: float, space: float, colour: str = 'white', width: float = 0.15) -> Mark:
    """One broken line."""
    return Mark('broken', colour, width, ((length, space, 0.0, width),))


def double(kind: str = 'solid solid', colour: str = 'yellow', width: float = 0.12) -> Mark:
    """Two lines 0.12 m apart, each solid or broken, named from the left to the right."""
    shift = 0.06 + width / 2.0
    lines = []
    for word, t in zip(kind.split(), (shift, -shift)):
        lines.append((3.0, 6.0, t, width) if word == 'broken' else (0.0, 0.0, t, width))
    return Mark(kind, colour, width, tuple(lines))


@dataclass(frozen=True)
class LaneSpec:
    """A lane of a cross-section, from the centre outwards; `mark` is on its outer edge.

    end_width: width at the road's end, where it is not the same all along.
    """

    kind: str
    width: float
    mark: Mark = NONE
    end_width: float | None = None


@dataclass(frozen=True)
class Profile:
    """A cross-section: right lanes (along), left lanes (against), the centre line's mark."""

    right: tuple[LaneSpec, ...]
    left: tuple[LaneSpec, ...]
    centre: Mark = NONE
    speed_kmh: float = 50.0

    def side(self, sign: int) -> tuple[LaneSpec, ...]:
        """The right lanes for -1, the left ones for +1."""
        return self.right if sign < 0 else self.left

    def driving(self, sign: int) -> list[int]:
        """Ids of one side's driving lanes, from the centre outwards."""
        return [sign * (i + 1) for i, lane in enumerate(self.side(sign)) if lane.kind == 'driving']

    def inner_edge(self, lane_id: int) -> float:
        """Lateral offset of the lane's border nearer to the centre, metres, signed."""
        sign = 1 if lane_id > 0 else -1
        return sign * sum(lane.width for lane in self.side(sign)[: abs(lane_id) - 1])

    def lane(self, lane_id: int) -> LaneSpec:
        """The lane with this id."""
        return self.side(1 if lane_id > 0 else -1)[abs(lane_id) - 1]


def symmetric(lanes: tuple[LaneSpec, ...], centre: Mark, speed_kmh: float = 50.0) -> Profile:
    """The same lanes on both sides."""
    return Profile(lanes, lanes, centre, speed_kmh)


@dataclass(frozen=True)
class Piece:
    """A piece of a reference line: 'line' (length), 'arc' or 'spiral' (length, curvatures)."""

    kind: str
    length: float
    start: float = 0.0
    end: float = 0.0


def line(length: float) -> Piece:
    """Straight on."""
    return Piece('line', length)


def arc(radius: float, degrees: float) -> Piece:
    """A circle to the left for positive degrees."""
    return Piece('arc', abs(math.radians(degrees)) * radius, math.copysign(1.0 / radius, degrees))


def spiral(length: float, start: float, end: float) -> Piece:
    """A clothoid from curvature `start` to `end`."""
    return Piece('spiral', length, start, end)


@dataclass(frozen=True)
class State:
    """A position with a heading (radians)."""

    x: float
    y: float
    heading: float

    def left(self, t: float) -> State:
        """The same heading, `t` metres to the left."""
        return replace(
            self, x=self.x - t * math.sin(self.heading), y=self.y + t * math.cos(self.heading)
        )

    def turned(self) -> State:
        """The same place, looking back."""
        return replace(self, heading=self.heading + math.pi)


def advance(state: State, piece: Piece) -> State:
    """The state at the end of a piece that starts at `state`."""
    if piece.kind == 'line':
        u, v, turn = piece.length, 0.0, 0.0
    elif piece.kind == 'arc':
        turn = piece.start * piece.length
        u, v = math.sin(turn) / piece.start, (1.0 - math.cos(turn)) / piece.start
    else:
        u = v = turn = 0.0
        steps = 400
        ds = piece.length / steps
        for k in range(steps):  # midpoint rule; error below a micrometre at these lengths
            at = (k + 0.5) * ds
            angle = piece.start * at + (piece.end - piece.start) * at * at / piece.length / 2.0
            u += math.cos(angle) * ds
            v += math.sin(angle) * ds
        turn = (piece.start + piece.end) / 2.0 * piece.length
    c, n = math.cos(state.heading), math.sin(state.heading)
    return State(state.x + c * u - n * v, state.y + n * u + c * v, state.heading + turn)


@dataclass
class RoadPlan:
    """A road being built. starts, ends: what it is linked to: ('road'|'junction', id, contact)."""

    id: int
    start: State
    pieces: list[Piece]
    profile: Profile
    junction: int = -1
    starts: tuple[str, int, str] | None = None
    ends: tuple[str, int, str] | None = None
    lane_links: dict[int, tuple[int | None, int | None]] = field(default_factory=dict)
    objects: list[dict[str, object]] = field(default_factory=list)
    name: str = ''
    # metres at the start and the end without lane lines (crosswalk, stop line), and metres before
    # those in which dashed lines between lanes of one direction are solid
    bare: tuple[float, float] = (0.0, 0.0)
    solid_before: float = 0.0

    @property
    def length(self) -> float:
        """Metres along the reference line."""
        return sum(piece.length for piece in self.pieces)

    def end(self) -> State:
        """Position and heading at the end."""
        state = self.start
        for piece in self.pieces:
            state = advance(state, piece)
        return state


@dataclass(frozen=True)
class Arm:
    """The end of a road at a junction: `contact` is 'start' or 'end' of that road."""

    road: RoadPlan
    contact: str

    def outward(self) -> State:
        """The reference point, looking away from the junction (into the road)."""
        return self.road.start if self.contact == 'start' else self.road.end().turned()

    def incoming(self) -> list[int]:
        """Driving lanes that lead into the junction, from the centre outwards."""
        return self.road.profile.driving(1 if self.contact == 'start' else -1)

    def outgoing(self) -> list[int]:
        """Driving lanes that lead out of it, from the centre outwards."""
        return self.road.profile.driving(-1 if self.contact == 'start' else 1)


@dataclass
class JunctionPlan:
    """A junction's connections: (incoming road, connecting road, incoming lane)."""

    id: int
    connections: list[tuple[int, int, int]] = field(default_factory=list)
    turns: dict[int, tuple[Arm, Arm, int]] = field(default_factory=dict)


class Network:
    """Collects roads and junctions and writes them as OpenDRIVE text."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.roads: list[RoadPlan] = []
        self.junctions: list[JunctionPlan] = []
        self._next_id = 0
        self._next_object = 0

    def road(
        self, start: State, pieces: list[Piece], profile: Profile, name: str = ''
    ) -> RoadPlan:
        """Adds a road."""
        plan = RoadPlan(self._next_id, start, list(pieces), profile, name=name)
        self._next_id += 1
        self.roads.append(plan)
        return plan

    def join(self, first: RoadPlan, second: RoadPlan) -> None:
        """Links the end of `first` to the start of `second`; both must have equal lanes."""
        first.ends = ('road', second.id, 'start')
        second.starts = ('road', first.id, 'end')
        for sign in (1, -1):
            for i in range(len(first.profile.side(sign))):
                lane = sign * (i + 1)
                first.lane_links[lane] = (first.lane_links.get(lane, (None, None))[0], lane)
                second.lane_links[lane] = (lane, second.lane_links.get(lane, (None, None))[1])

    def junction(self, arms: list[Arm], u_turns: bool = False) -> JunctionPlan:
        """Connects every incoming lane of every arm to outgoing lanes of the others."""
        plan = JunctionPlan(self._next_id)
        self._next_id += 1
        self.junctions.append(plan)
        for arm in arms:
            link = ('junction', plan.id, '')
            if arm.contact == 'start':
                arm.road.starts = link
            else:
                arm.road.ends = link
        for source in arms:
            lanes_in = source.incoming()
            for target in arms:
                if target is source and not u_turns:
                    continue
                turn = _turn(source.outward().turned(), target.outward())
                lanes_out = target.outgoing()
                for lane_in, lane_out in _lane_pairs(lanes_in, lanes_out, turn):
                    self._connect(plan, source, lane_in, target, lane_out)
            _pave_outer_side(self, plan, source, arms)
        return plan

    def _connect(
        self,
        plan: JunctionPlan,
        source: Arm,
        lane_in: int,
        target: Arm,
        lane_out: int,
    ) -> None:
        lane = source.road.profile.lane(lane_in)
        out = target.road.profile.lane(lane_out)
        # the connecting road's reference line is the left edge of its one lane
        start = source.outward().left(abs(source.road.profile.inner_edge(lane_in))).turned()
        end = target.outward().left(-abs(target.road.profile.inner_edge(lane_out)))
        right = LaneSpec('driving', lane.width, NONE, out.width)
        road = self.road(start, connection(start, end), Profile((right,), (), NONE, 30.0))
        road.junction = plan.id
        road.starts = ('road', source.road.id, source.contact)
        road.ends = ('road', target.road.id, target.contact)
        road.lane_links[-1] = (lane_in, lane_out)
        plan.connections.append((source.road.id, road.id, lane_in))
        plan.turns[road.id] = (source, target, lane_in)

    def mark_object(
        self,
        road: RoadPlan,
        kind: str,
        name: str,
        s: float,
        t: float,
        outline: list[tuple[float, float]],
        heading: float = 0.0,
        colour: str = 'white',
    ) -> None:
        """Adds something painted: outline in its own axes (u along, v to the left), metres."""
        road.objects.append(
            {
                'id': self._next_object,
                'type': kind,
                'name': name,
                's': s,
                't': t,
                'hdg': heading,
                'outline': outline,
                'color': colour,
            }
        )
        self._next_object += 1

    def text(self) -> str:
        """The OpenDRIVE text."""
        from seg_node_sim.maps.writer import write

        return ET.tostring(write(self), encoding='unicode', xml_declaration=True)


def _pave_outer_side(network: Network, plan: JunctionPlan, source: Arm, arms: list[Arm]) -> None:
    """Takes the gutter and the pavement of `source` round the corner to the next arm on its right.

    The rightmost connecting road carries them; their widths go over into those of the other arm.
    """
    lanes = source.incoming()
    others = [arm for arm in arms if arm is not source]
    if not lanes or not others:
        return
    inward = source.outward().turned()
    target = min(others, key=lambda arm: _turn(inward, arm.outward()))
    for road in network.roads:
        if road.junction == plan.id and plan.turns[road.id] == (source, target, lanes[-1]):
            here = _beyond(source.road.profile, lanes[-1])
            there = _beyond(target.road.profile, target.outgoing()[-1])
            extra = []
            for spec in here:
                match = next((lane for lane in there if lane.kind == spec.kind), None)
                kind = 'shoulder' if spec.kind == 'parking' else spec.kind
                mark = spec.mark if spec.mark.kind == 'curb' else NONE
                extra.append(LaneSpec(kind, spec.width, mark, match.width if match else 0.0))
            first = road.profile.right[0]
            if not here or here[0].kind == 'sidewalk':
                first = replace(first, mark=CURB)
            road.profile = replace(road.profile, right=(first, *extra))
            return


def _beyond(profile: Profile, lane_id: int) -> tuple[LaneSpec, ...]:
    """The lanes outside of `lane_id`."""
    return profile.side(1 if lane_id > 0 else -1)[abs(lane_id) :]


def _turn(start: State, end: State) -> float:
    """Heading change from `start` to `end`, in (-pi, pi], left positive."""
    return math.remainder(end.heading - start.heading, 2.0 * math.pi)


def _lane_pairs(lanes_in: list[int], lanes_out: list[int], turn: float) -> list[tuple[int, int]]:
    """Which incoming lane leads to which outgoing one: inner lanes left, outer lanes right."""
    if not lanes_in or not lanes_out:
        return []
    if turn > math.radians(30.0):
        return [(lanes_in[0], lanes_out[0])]
    if turn < math.radians(-30.0):
        return [(lanes_in[-1], lanes_out[-1])]
    pairs = [(lane, lanes_out[min(i, len(lanes_out) - 1)]) for i, lane in enumerate(lanes_in)]
    return pairs


def connection(start: State, end: State) -> list[Piece]:
    """Line, arc, line from one state to another; two arcs (an S) where the headings are equal."""
    turn = _turn(start, end)
    c, n = math.cos(start.heading), math.sin(start.heading)
    dx, dy = end.x - start.x, end.y - start.y
    u, v = c * dx + n * dy, -n * dx + c * dy
    if abs(turn) < math.radians(1.0):
        if abs(v) < 1e-3:
            return [line(u)]
        half = math.atan2(v, u)  # an S of two equal arcs
        radius = math.hypot(u, v) / 2.0 / (2.0 * abs(math.sin(half)))
        bend = math.degrees(2.0 * half)
        return [arc(radius, bend), arc(radius, -bend)]
    # lengths along both headings to the point where the two lines cross
    second = v / math.sin(turn)
    first = u - second * math.cos(turn)
    if first <= 0.0 or second <= 0.0:
        raise ValueError(f'no simple curve from {start} to {end}')
    tangent = min(first, second)
    radius = tangent / math.tan(abs(turn) / 2.0)
    pieces = []
    if first - tangent > 1e-3:
        pieces.append(line(first - tangent))
    pieces.append(arc(radius, math.degrees(turn)))
    if second - tangent > 1e-3:
        pieces.append(line(second - tangent))
    return pieces
