"""Lane lines as messages: markers for RViz and Foxglove, and the ego lane's centre as a path."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, PoseStamped, Quaternion, Vector3
from nav_msgs.msg import Path
from std_msgs.msg import ColorRGBA, Header

from seg_node.lane_lines.line import KIND_COLOURS, Double, LaneLine, LaneLines

_STEP_M = 2.0
_WIDTH_M = 0.12
_TEXT_M = 0.5
_LIFE_S = 1
"""A viewer drops lines that are not sent anew for so long."""
LINES, LABELS, DEVIATION = 'lane_lines', 'labels', 'deviation'
"""Namespaces of the markers."""


def marker_array(header: Header, lines: LaneLines, gone: Iterable[int], placed: Double) -> Any:
    """A visualization_msgs/MarkerArray under `header`.

    Three namespaces: `lane_lines`, a line strip each (dashed and double ones as a list), alpha its
    confidence; `labels`, place, type and confidence; `deviation`, one standard deviation to either
    side. The id is the line's track. gone: tracks to delete. placed: float64 (4, 4), the lines'
    frame -> the header's.
    """
    from visualization_msgs.msg import Marker, MarkerArray

    def marker(namespace: str, number: int, kind: int, width: float, colour: ColorRGBA) -> Any:
        message = Marker(header=header, ns=namespace, id=number, type=kind, action=Marker.ADD)
        message.pose.orientation.w = 1.0
        message.scale = Vector3(x=width, y=width, z=width)
        message.color, message.lifetime = colour, Duration(sec=_LIFE_S)
        return message

    markers = [
        Marker(header=header, ns=namespace, id=number, action=Marker.DELETE)
        for number in gone
        for namespace in (LINES, LABELS, DEVIATION)
    ]
    places = lines.places()
    for index, line in enumerate(lines.lines):
        points, colour = _in_frame(line.points(_STEP_M), placed), _colour(line)
        broken = line.kind == 'dashed'
        strip = Marker.LINE_LIST if broken else Marker.LINE_STRIP
        width = 2.0 * _WIDTH_M if line.kind == 'double' else _WIDTH_M
        shown = marker(LINES, line.track, strip, width, colour)
        shown.points = _points(points[: len(points) // 2 * 2] if broken else points)
        label = marker(LABELS, line.track, Marker.TEXT_VIEW_FACING, _TEXT_M, colour)
        label.text = f'{places[index]} {line.kind} {line.confidence:.2f}'
        label.pose.position = _point(points[0] + (0.0, 0.0, _TEXT_M))
        spread = marker(DEVIATION, line.track, Marker.LINE_LIST, 0.03, colour)
        spread.points = _points(_in_frame(_bars(line), placed))
        markers += [shown, label, spread]
    return MarkerArray(markers=markers)


def path(header: Header, lines: LaneLines, placed: Double) -> Path:
    """The ego lane's centre line, each pose looking along it; empty without both boundaries."""
    points = _in_frame(lines.centre(), placed)
    message = Path(header=header)
    if len(points) < 2:
        return message
    ahead = np.gradient(points, axis=0)
    for point, yaw in zip(points, np.arctan2(ahead[:, 1], ahead[:, 0]).tolist()):
        pose = PoseStamped(header=header)
        pose.pose.position = _point(point)
        pose.pose.orientation = Quaternion(z=math.sin(yaw / 2), w=math.cos(yaw / 2))
        message.poses.append(pose)
    return message


def _bars(line: LaneLine) -> Double:
    """float64 (2 N, 3): ends of bars one standard deviation to the left and to the right."""
    points = line.points(_STEP_M).repeat(2, axis=0)
    deviation = line.deviation(points[:, 0])
    deviation[1::2] *= -1.0
    points[:, 1] += deviation
    return points


def _in_frame(points: Double, placed: Double) -> Double:
    moved: Double = points @ placed[:3, :3].T + placed[:3, 3]
    return moved


def _colour(line: LaneLine) -> ColorRGBA:
    red, green, blue = (value / 255.0 for value in KIND_COLOURS[line.kind])
    return ColorRGBA(r=red, g=green, b=blue, a=max(0.1, min(1.0, line.confidence)))


def _points(points: Double) -> list[Point]:
    return [Point(x=x, y=y, z=z) for x, y, z in points.tolist()]


def _point(point: Double) -> Point:
    x, y, z = point.tolist()
    return Point(x=x, y=y, z=z)
