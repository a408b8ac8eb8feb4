"""What a capture consists of."""

from __future__ import annotations

from collections import Counter

from seg_node_sim.client.plan import CaptureOptions, plan_drives
from seg_node_sim.client.session import Address

TOWNS = ('A', 'B', 'C', 'D')


def plan(**changes: object):  # type: ignore[no-untyped-def]
    values: dict[str, object] = {'frames': 1000, 'towns': TOWNS, 'randomize': True}
    return plan_drives(CaptureOptions.model_validate(values | changes), Address())


def test_equal_options_give_equal_drives() -> None:
    assert plan(seed=3) == plan(seed=3)
    assert plan(seed=3)[0].request != plan(seed=4)[0].request


def test_frames_and_names() -> None:
    drives = plan(frames=1010, frames_per_drive=25)
    assert sum(d.frames for d in drives) == 1010
    assert len({d.name for d in drives}) == len(drives) == 41
    assert len(plan(frames=30)) == 10  # small captures have enough drives to be split


def test_splits_are_whole_drives_of_several_towns() -> None:
    drives = plan(frames=4000)
    share = Counter(d.split for d in drives)
    assert share['val'] == share['test'] == len(drives) // 10
    assert len({d.town for d in drives if d.split == 'val'}) > 1


def test_held_out_towns() -> None:
    drives = plan(test_towns=('D',), val_towns=('C',))
    assert {d.split for d in drives if d.town == 'D'} == {'test'}
    assert {d.split for d in drives if d.town == 'C'} == {'val'}
    assert {d.split for d in drives if d.town in 'AB'} == {'train'}


def test_random_cameras_stay_within_their_ranges() -> None:
    for drive in plan(frames=5000):
        camera = drive.camera
        assert 1.1 <= camera.spawn_point.z <= 2.6
        assert 0.0 <= camera.spawn_point.pitch <= 12.0
        assert 50.0 <= camera.fov <= 110.0
        assert drive.request.rig.twin(camera, 'semantic') is not None
