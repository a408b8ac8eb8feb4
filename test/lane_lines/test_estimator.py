"""From masks to lines: place, uncertainty, type, ids, and what must not become a line."""

from __future__ import annotations

import math

import numpy as np
import pytest

from seg_node.lane_lines.course import Course
from seg_node.lane_lines.estimator import EstimatorOptions, LaneLineEstimator
from seg_node.lane_lines.evaluate import Boundary, LineScore, TrueLines
from seg_node.lane_lines.fit import fit_lines
from seg_node.lane_lines.samples import find_samples
from seg_node.lane_lines.tracker import Motion


@pytest.fixture
def estimator():
    return LaneLineEstimator(EstimatorOptions(classes=(2,)))


def drive(estimator, road, stripes, frames: int, step_m: float = 1.0):
    """Lines after each of `frames` frames on a straight road."""
    view = road.view()
    answers = []
    for i in range(frames):
        motion = Motion(forward=step_m) if i else None
        answers.append(estimator.step(road.draw(stripes, i * step_m), view, None, motion))
    return answers


@pytest.mark.parametrize(
    ('slope', 'curvature'), [(0.0, 0.0), (0.05, 0.0), (-0.03, 0.004), (0.02, -0.01)]
)
@pytest.mark.parametrize(('height', 'pitch'), [(1.2, 0.0), (1.6, math.radians(4.0))])
def test_lines_are_where_they_were_painted(drawn, estimator, slope, curvature, height, pitch):
    road = drawn.Road(height=height, pitch=pitch)
    stripes = [drawn.Stripe(y, slope, curvature) for y in (5.2, 1.7, -1.8)]
    lines = estimator.step(road.draw(stripes), road.view())
    assert len(lines.lines) == 3
    assert [lines.places()[i] for i in range(3)] == ['left_2', 'left_1', 'right_1']
    for line, stripe in zip(lines.lines, stripes):
        for x, allowed in ((5.0, 0.04), (10.0, 0.06), (20.0, 0.15)):
            if x <= line.far:
                assert abs(line.y_at(x) - stripe.y(np.array(x))) < allowed
    assert lines.left is lines.lines[1]
    assert lines.right is lines.lines[2]
    centre = lines.centre()
    assert (
        np.abs(centre[:10, 1] - drawn.Stripe(-0.05, slope, curvature).y(centre[:10, 0])).max()
        < 0.06
    )


def test_the_deviation_grows_with_distance_and_covers_the_error(drawn, estimator):
    road, random = drawn.Road(), np.random.default_rng(1)
    stripes = [drawn.Stripe(1.7), drawn.Stripe(-1.8)]
    normal = []
    for _ in range(40):
        mask = road.draw(stripes)
        shift = random.integers(-1, 2, mask.shape[0])
        noisy = np.stack([np.roll(row, s) for row, s in zip(mask, shift)])
        estimator.reset()
        line = estimator.step(noisy, road.view()).left
        x = np.array([6.0, 12.0, 20.0])
        assert (np.diff(line.deviation(np.array([10.0, 20.0, 30.0]))) > 0).all()
        normal.append((line.at(x) - 1.7) / line.deviation(x))
    assert np.sqrt(np.mean(np.square(normal))) < 3.0


def test_types_solid_dashed_double(drawn, estimator):
    stripes = [
        drawn.Stripe(5.2),
        drawn.Stripe(1.7, dash=3.0, gap=6.0),
        drawn.Stripe(-1.69, width=0.12),
        drawn.Stripe(-1.91, width=0.12),
    ]
    lines = drive(estimator, drawn.Road(), stripes, 12)[-1]
    assert [line.kind for line in lines.lines] == ['solid', 'dashed', 'double']
    assert abs(lines.right.y_at(8.0) + 1.8) < 0.06


def test_ids_stay_while_dashes_pass_and_over_frames_without_paint(drawn, estimator):
    stripes = [drawn.Stripe(1.7, dash=3.0, gap=9.0), drawn.Stripe(-1.8)]
    road = drawn.Road()
    answers = drive(estimator, road, stripes, 20)
    ids = {(a.left.track, a.right.track) for a in answers[1:]}
    assert len(ids) == 1
    for _ in range(3):
        lines = estimator.step(road.draw([]), road.view(), None, Motion(forward=1.0))
    assert {(lines.left.track, lines.right.track)} == ids
    assert lines.left.confidence < answers[-1].left.confidence


def test_odometry_carries_the_lines_through_a_lane_change(drawn, estimator):
    road = drawn.Road()
    view, ids = road.view(), set()
    for i in range(25):
        shift = 0.14 * i
        stripes = [drawn.Stripe(y - shift) for y in (5.2, 1.7, -1.8)]
        motion = Motion(forward=1.0, left=0.14) if i else None
        lines = estimator.step(road.draw(stripes), view, None, motion)
        ids.add(tuple(sorted(line.track for line in lines.lines)))
    assert ids == {(0, 1, 2)}
    assert lines.left.track != lines.right.track
    assert abs(lines.left.y_at(8.0) - (5.2 - 24 * 0.14)) < 0.08


@pytest.mark.parametrize(
    ('forward', 'left', 'turn'), [(1.0, 0.0, 0.0), (0.8, 0.2, 0.03), (1.5, -0.1, -0.05)]
)
def test_motion_moves_a_line_as_the_road_lies(drawn, estimator, forward, left, turn):
    """The line seen before and after a step is one line on the road."""
    road = drawn.Road()
    before = estimator.step(road.draw([drawn.Stripe(1.7, 0.01, 0.002)]), road.view()).lines[0]
    x = np.linspace(6.0, 16.0, 5)
    c, s = math.cos(turn), math.sin(turn)
    moved = (np.stack([x, before.at(x)], 1) - [forward, left]) @ np.array([[c, -s], [s, c]])
    after = estimator.step(road.draw([]), road.view(), None, Motion(forward, left, turn)).lines[0]
    assert np.abs(after.at(moved[:, 0]) - moved[:, 1]).max() < 0.02


def test_a_stop_line_a_zebra_and_specks_are_no_lines(drawn, estimator):
    road = drawn.Road()
    zebra = [drawn.Stripe(y, dash=4.0, gap=200.0, width=0.5) for y in np.arange(-4.0, 4.5, 1.0)]
    mask = road.draw(zebra, driven=196.0)
    random = np.random.default_rng(2)
    specks = random.integers(0, 1 << 16, 60)
    mask.reshape(-1)[180 * 640 + specks] = drawn.LANE
    assert estimator.step(mask, road.view()).lines == ()
    assert estimator.step(np.zeros_like(mask), road.view()).lines == ()
    assert estimator.step(np.full_like(mask, drawn.LANE), road.view()).lines == ()


def test_depth_tells_where_the_road_rises(drawn, estimator):
    """A road that rises 5 %: without depth lines bend apart, with it they are right."""
    road = drawn.Road()
    rise = 0.05
    flat = road.view()
    rays = (
        np.stack([flat.rays.x, flat.rays.y, np.ones_like(flat.rays.x)], 1) @ flat.mount[:3, :3].T
    )
    with np.errstate(divide='ignore'):
        depth = (road.height / (rise * rays[:, 0] - rays[:, 2])).astype(np.float32)
    depth[(depth < 0) | (depth > 100)] = 0
    depth = depth.reshape(360, 640)
    x, y = (rays[:, i].reshape(360, 640) * depth for i in (0, 1))
    mask = np.where((depth > 0) & (np.abs(np.abs(y) - 1.75) < 0.08), drawn.LANE, 1).astype(
        np.uint8
    )
    lines = estimator.step(mask, flat, depth)
    assert len(lines.lines) == 2
    for line, side in zip(lines.lines, (1.75, -1.75)):
        assert abs(line.y_at(15.0) - side) < 0.08
        assert line.heights[1] == pytest.approx(rise, abs=0.005)
    assert x.max() > 15


def test_a_wrong_course_is_given_up(drawn):
    """After a turn at a junction the expected course may be far from any line."""
    road = drawn.Road()
    mask = road.draw([drawn.Stripe(y, 0.1) for y in (1.7, -1.8)])
    samples = find_samples(mask, (drawn.LANE,), road.view())
    _, course = fit_lines(samples, expected=Course(0.9, -0.03, sharpness=0.3))
    assert course.slope == pytest.approx(0.1, abs=0.01)
    assert course.curvature == pytest.approx(0.0, abs=0.002)


def test_lines_of_a_tight_bend(drawn, estimator):
    """Circles about one middle, 16 m to the right: the inner line is the sharper one."""
    sides, road = (1.7, -1.8), drawn.Road()
    stripes = [drawn.Stripe(y, 0.0, -1.0 / (16.0 + y)) for y in sides]
    lines = estimator.step(road.draw(stripes), road.view())
    for line, stripe in zip((lines.left, lines.right), stripes):
        assert abs(line.y_at(6.0) - stripe.y(np.array(6.0))) < 0.05
    assert lines.right.state[2] < lines.left.state[2]


def test_specks_in_the_lane_do_not_bound_it(drawn, estimator):
    """Shadows and rain give specks of any width; paint is as wide in the next row."""
    road, random = drawn.Road(), np.random.default_rng(5)
    mask = road.draw([drawn.Stripe(1.7), drawn.Stripe(-1.8)])
    for row in range(215, 300):
        width = int(random.integers(1, 3 + (row - 180) // 8))
        column = int(320 + 0.3 * (row - 180)) - width // 2
        mask[row, column : column + width] = drawn.LANE
    for _ in range(4):
        lines = estimator.step(mask, road.view(), None, Motion())
    assert lines.left.y_at(8.0) == pytest.approx(1.7, abs=0.05)
    assert lines.right.y_at(8.0) == pytest.approx(-1.8, abs=0.05)


def test_a_score_tells_right_from_wrong(drawn, estimator):
    road = drawn.Road()
    x = np.linspace(-5.0, 60.0, 200)
    truth = TrueLines([
        Boundary('l', np.stack([x, np.full_like(x, 1.7)], 1), 'dashed'),
        Boundary('r', np.stack([x, np.full_like(x, -1.8)], 1), 'solid'),
    ])  # fmt: skip
    score = LineScore()
    pose = np.eye(4)
    painted = [drawn.Stripe(1.7), drawn.Stripe(-1.9), drawn.Stripe(6.5)]
    for lines in drive(estimator, road, painted, 10):
        score.add(lines, truth.near(pose))
    figures = score.as_dict()
    assert figures['both_boundaries'] == 1.0
    assert figures['false_lines'] == pytest.approx(1 / 3, abs=0.05)
    assert figures['type_accuracy'] == pytest.approx(0.5, abs=0.05)
    assert figures['lateral_error_m']['10']['median'] == pytest.approx(0.05, abs=0.03)
    assert figures['id_switches'] == 0


def straight_truth(*sides: float) -> TrueLines:
    x = np.linspace(-5.0, 60.0, 200)
    return TrueLines([
        Boundary(str(y), np.stack([x, np.full_like(x, y)], 1), 'solid') for y in sides
    ])  # fmt: skip


def test_boundaries_that_are_elsewhere_are_not_found(drawn, estimator):
    score = LineScore()
    for lines in drive(estimator, drawn.Road(), [drawn.Stripe(1.7), drawn.Stripe(-0.9)], 4):
        score.add(lines, straight_truth(1.7, -1.8).near(np.eye(4)))
    assert (score.shown, score.both) == (4, 0)


@pytest.mark.parametrize(
    ('painted', 'shown'), [((1.7, -1.8), 1), ((1.7,), 0), ((1.7, -2.6), 0), ((), 0)]
)
def test_a_frame_shows_what_is_painted_along_the_boundary(drawn, estimator, painted, shown):
    road, score = drawn.Road(), LineScore()
    mask = road.draw([drawn.Stripe(y) for y in painted])
    samples = find_samples(mask, (drawn.LANE,), road.view())
    lines = estimator.step(mask, road.view())
    score.add(lines, straight_truth(1.7, -1.8).near(np.eye(4)), samples)
    assert score.shown == shown
