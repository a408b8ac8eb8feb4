"""A road network as an OpenDRIVE 1.4 element tree."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from seg_node_sim.maps.builder import NONE, LaneSpec, Mark, RoadPlan, advance, solid

if TYPE_CHECKING:
    from seg_node_sim.maps.builder import Network

GEO_REFERENCE = '+proj=tmerc +lat_0=0 +lon_0=0 +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs'


def _f(value: float) -> str:
    return f'{value:.12g}'


def write(network: Network) -> ET.Element:
    """The <OpenDRIVE> element of a network."""
    root = ET.Element('OpenDRIVE')
    header = ET.SubElement(
        root,
        'header',
        revMajor='1',
        revMinor='4',
        name=network.name,
        version='1',
        north='0',
        south='0',
        east='0',
        west='0',
        vendor='seg_node',
    )
    ET.SubElement(header, 'geoReference').text = GEO_REFERENCE
    for road in network.roads:
        _road(root, road)
    for junction in network.junctions:
        element = ET.SubElement(root, 'junction', id=str(junction.id), name=f'J{junction.id}')
        for k, (incoming, connecting, lane) in enumerate(junction.connections):
            connection = ET.SubElement(
                element,
                'connection',
                id=str(k),
                incomingRoad=str(incoming),
                connectingRoad=str(connecting),
                contactPoint='start',
            )
            ET.SubElement(connection, 'laneLink', {'from': str(lane), 'to': '-1'})
    return root


def _link(parent: ET.Element, tag: str, link: tuple[str, int, str] | None) -> None:
    if link is None:
        return
    kind, target, contact = link
    attributes = {'elementType': kind, 'elementId': str(target)}
    if contact:
        attributes['contactPoint'] = contact
    ET.SubElement(parent, tag, attributes)


def _road(root: ET.Element, road: RoadPlan) -> None:
    element = ET.SubElement(
        root,
        'road',
        name=road.name or f'Road {road.id}',
        length=_f(road.length),
        id=str(road.id),
        junction=str(road.junction),
    )
    link = ET.SubElement(element, 'link')
    _link(link, 'predecessor', road.starts)
    _link(link, 'successor', road.ends)
    kind = ET.SubElement(element, 'type', s='0', type='town')
    ET.SubElement(kind, 'speed', max=_f(road.profile.speed_kmh / 3.6), unit='m/s')
    plan = ET.SubElement(element, 'planView')
    state, s = road.start, 0.0
    for piece in road.pieces:
        geometry = ET.SubElement(
            plan,
            'geometry',
            s=_f(s),
            x=_f(state.x),
            y=_f(state.y),
            hdg=_f(state.heading),
            length=_f(piece.length),
        )
        if piece.kind == 'line':
            ET.SubElement(geometry, 'line')
        elif piece.kind == 'arc':
            ET.SubElement(geometry, 'arc', curvature=_f(piece.start))
        else:
            ET.SubElement(geometry, 'spiral', curvStart=_f(piece.start), curvEnd=_f(piece.end))
        state, s = advance(state, piece), s + piece.length
    profile = ET.SubElement(element, 'elevationProfile')
    ET.SubElement(profile, 'elevation', s='0', a='0', b='0', c='0', d='0')
    ET.SubElement(element, 'lateralProfile')
    _lanes(element, road)
    objects = ET.SubElement(element, 'objects')
    for item in road.objects:
        _object(objects, item)
    ET.SubElement(element, 'signals')


def _lanes(element: ET.Element, road: RoadPlan) -> None:
    lanes = ET.SubElement(element, 'lanes')
    ET.SubElement(lanes, 'laneOffset', s='0', a='0', b='0', c='0', d='0')
    section = ET.SubElement(lanes, 'laneSection', s='0')
    profile = road.profile
    if profile.left:
        left = ET.SubElement(section, 'left')
        for i in range(len(profile.left), 0, -1):
            _lane(left, road, i, profile.left[i - 1])
    centre = ET.SubElement(section, 'center')
    lane = ET.SubElement(centre, 'lane', id='0', type='none', level='false')
    _marks(lane, road, 0, profile.centre)
    right = ET.SubElement(section, 'right')
    for i, spec in enumerate(profile.right):
        _lane(right, road, -(i + 1), spec)


def _lane(parent: ET.Element, road: RoadPlan, lane_id: int, spec: LaneSpec) -> None:
    lane = ET.SubElement(parent, 'lane', id=str(lane_id), type=spec.kind, level='false')
    before, after = road.lane_links.get(lane_id, (None, None))
    link = ET.SubElement(lane, 'link')
    if before is not None:
        ET.SubElement(link, 'predecessor', id=str(before))
    if after is not None:
        ET.SubElement(link, 'successor', id=str(after))
    end = spec.width if spec.end_width is None else spec.end_width
    slope = (end - spec.width) / road.length
    ET.SubElement(lane, 'width', sOffset='0', a=_f(spec.width), b=_f(slope), c='0', d='0')
    _marks(lane, road, lane_id, spec.mark)


def _marks(lane: ET.Element, road: RoadPlan, lane_id: int, mark: Mark) -> None:
    """The mark along the road: none at bare ends, solid for some metres before a stop line."""
    first, last = road.bare
    if mark.kind in ('none', 'curb') or max(first, last) == 0.0:
        _mark(lane, mark, 0.0)
        return
    if first > 0.0:
        _mark(lane, NONE, 0.0)
    solid_line = solid(mark.colour, mark.width)
    before = road.solid_before if mark.kind == 'broken' else 0.0
    stops = lane_id > 0 or (lane_id == 0 and before > 0.0)  # traffic that stops at the start
    if stops and first > 0.0 and before > 0.0:
        _mark(lane, solid_line, first)
        first += before
    _mark(lane, mark, first)
    end = road.length - last
    stops = lane_id < 0 or (lane_id == 0 and before > 0.0)
    if stops and last > 0.0 and before > 0.0:
        _mark(lane, solid_line, end - before)
    if last > 0.0:
        _mark(lane, NONE, end)


def _mark(lane: ET.Element, mark: Mark, offset: float) -> None:
    element = ET.SubElement(
        lane,
        'roadMark',
        sOffset=_f(offset),
        type=mark.kind,
        weight='standard',
        color='standard' if mark.colour == 'white' else mark.colour,
        width=_f(mark.width),
        laneChange='both' if mark.kind in ('broken', 'none') else 'none',
    )
    if mark.lines:
        kind = ET.SubElement(element, 'type', name=mark.kind, width=_f(mark.width))
        for length, space, t, width in mark.lines:
            ET.SubElement(
                kind,
                'line',
                length=_f(length),
                space=_f(space),
                tOffset=_f(t),
                sOffset='0',
                rule='none',
                width=_f(width),
            )


def _object(parent: ET.Element, item: dict[str, object]) -> None:
    outline = item['outline']
    assert isinstance(outline, list)
    us, vs = [p[0] for p in outline], [p[1] for p in outline]
    element = ET.SubElement(
        parent,
        'object',
        id=str(item['id']),
        type=str(item['type']),
        name=str(item['name']),
        s=_f(float(str(item['s']))),
        t=_f(float(str(item['t']))),
        zOffset='0',
        hdg=_f(float(str(item['hdg']))),
        pitch='0',
        roll='0',
        orientation='none',
        length=_f(max(us) - min(us)),
        width=_f(max(vs) - min(vs)),
        height='0',
    )
    shape = ET.SubElement(element, 'outline')
    for u, v in [*outline, outline[0]]:
        ET.SubElement(shape, 'cornerLocal', u=_f(u), v=_f(v), z='0', height='0')
    ET.SubElement(element, 'userData', code='color', value=str(item['color']))
