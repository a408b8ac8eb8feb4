"""Drives on the embedded server: joining, truth, cleaning up, errors."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest

from seg_node.errors import ConfigError
from seg_node_sim.client import images
from seg_node_sim.client.ask import ask, town_of, towns_of
from seg_node_sim.client.drive import DriveRequest
from seg_node_sim.client.errors import ServerError, ServerLost
from seg_node_sim.client.remote import DriveProcess
from seg_node_sim.client.session import Address
from seg_node_sim.server import ServerOptions, start_server_process

Requests = Callable[..., DriveRequest]


def actors_left(address: Address) -> list[str]:
    """Vehicles and sensors on the server, seen by a client of its own process."""
    code = (
        f'import carla, os; c = carla.Client("127.0.0.1", {address.port}); c.set_timeout(20.0);'
        'w = c.get_world(); w.wait_for_tick(20.0);'
        'print([a.type_id for a in w.get_actors() if a.type_id.split(".")[0] in '
        '("vehicle", "sensor", "walker")], flush=True); os._exit(0)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    return eval(done.stdout)  # a list printed by the line above


def synchronous(address: Address) -> bool:
    return bool(ask(address, 'get_episode_settings')[0])


def test_frames_join_and_show_one_world(embedded: Address, request_for: Requests) -> None:
    request = request_for(embedded, traffic=5, fresh=True)
    with DriveProcess(request) as drive:
        assert drive.ready is not None and drive.ready.town == 'Grid'
        assert '<OpenDRIVE' in drive.ready.xodr
        assert synchronous(embedded)
        frames, places = [], []
        for tick in islice(drive, 25):
            frames.append(tick.frame)
            places.append((tick.ego.pose.x, tick.ego.pose.y))
            check_truth(request, tick)
    assert np.diff(frames).tolist() == [1] * 24
    assert np.hypot(*np.subtract(places[-1], places[0])) > 1.0  # the autopilot drives
    assert actors_left(embedded) == []
    assert not synchronous(embedded)


def check_truth(request: DriveRequest, tick) -> None:  # type: ignore[no-untyped-def]
    """Road pixels put back through depth and this frame's pose lie on the ground."""
    tags = images.semantic(tick.images['semantic_front'])
    depth = images.depth_metres(tick.images['depth_front'])
    k = images.intrinsic_matrix(tags.shape[1], tags.shape[0], request.rig.cameras[0].fov)
    rows, columns = np.nonzero((tags == 1) & (depth < 30.0))
    assert len(rows) > 300
    d = depth[rows, columns]
    right = (columns - k[0, 2]) / k[0, 0] * d
    down = (rows - k[1, 2]) / k[1, 1] * d
    points = np.stack([d, right, -down, np.ones_like(d)])
    z = (tick.camera_poses['depth_front'].matrix() @ points)[2]
    assert abs(np.median(z)) < 0.03


def test_equal_requests_give_equal_drives(embedded: Address, request_for: Requests) -> None:
    def first_images() -> list[bytes]:
        with DriveProcess(request_for(embedded, traffic=4, fresh=True)) as drive:
            return [t.images['rgb_front'].tobytes() for t in islice(drive, 6)]

    assert first_images() == first_images()


def test_child_cleans_up_when_its_parent_is_killed(
    embedded: Address, request_for: Requests
) -> None:
    code = (
        'import sys;'
        'from seg_node_sim.client.drive import DriveRequest;'
        'from seg_node_sim.client.remote import DriveProcess;'
        'drive = DriveProcess(DriveRequest.model_validate_json(sys.argv[1]));'
        'drive.__enter__();'
        'print("driving", flush=True);'
        '[None for _ in drive]'
    )
    request = request_for(embedded, traffic=2).model_dump_json()
    parent = subprocess.Popen(
        [sys.executable, '-c', code, request], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None and parent.stdout.readline() == 'driving\n'
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20.0
    while synchronous(embedded) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert actors_left(embedded) == []


def test_leftovers_of_a_killed_client_are_removed(
    embedded: Address, request_for: Requests
) -> None:
    request = request_for(embedded, traffic=2)
    with contextlib.suppress(ServerLost), DriveProcess(request) as drive:
        for _ in islice(drive, 2):
            pass
        os.kill(
            drive.pid, signal.SIGKILL
        )  # the client dies without cleaning up, in synchronous mode
        for _ in drive:
            pass
    assert synchronous(embedded)
    with DriveProcess(request) as drive:
        assert next(iter(drive)).frame > 0
    assert actors_left(embedded) == []
    assert not synchronous(embedded)


def test_a_client_that_crashes_while_it_spawns_is_started_again(
    embedded: Address, request_for: Requests
) -> None:
    said: list[str] = []
    drive = DriveProcess(request_for(embedded, settle=40), say=said.append)

    def crash() -> None:
        while not drive._connected:
            time.sleep(0.005)
        os.kill(drive.pid, signal.SIGABRT)

    threading.Thread(target=crash).start()
    with drive:
        assert next(iter(drive)).frame > 0
    again = [line for line in said if 'starting another' in line]
    assert len(again) == 1 and 'SIGABRT' in again[0]
    assert actors_left(embedded) == []


def test_stopping_does_not_wait_for_a_dead_server(
    request_for: Requests, free_server_port: Callable[[], int]
) -> None:
    options = ServerOptions(port=free_server_port(), town='Highway', exit_with_parent=True)
    with start_server_process(options) as server:
        address = Address('127.0.0.1', options.port, 20.0)
        with DriveProcess(request_for(address, ('semantic',), town='')) as drive:
            next(iter(drive))
            server.process.kill()
            server.process.wait()
            stopped = time.monotonic()
        assert time.monotonic() - stopped < 5.0  # the time-out of a call is 20 s


def test_server_killed_in_mid_drive_is_noticed_at_once(
    request_for: Requests, free_server_port: Callable[[], int]
) -> None:
    options = ServerOptions(port=free_server_port(), town='Highway', exit_with_parent=True)
    with start_server_process(options) as server:
        address = Address('127.0.0.1', options.port, 20.0)
        request = request_for(address, ('semantic',), town='')
        with pytest.raises(ServerLost, match='went away'), DriveProcess(request) as drive:
            for count, _ in enumerate(drive):
                if count == 3:
                    server.process.kill()
                    killed = time.monotonic()
        assert time.monotonic() - killed < 5.0  # the time-out of a call is 20 s


def test_wrong_requests_are_one_line(embedded: Address, request_for: Requests) -> None:
    for changes, word in (
        ({'town': 'Nowhere'}, 'expected one that'),
        ({'rig': {'vehicle': 'vehicle.no.such', 'cameras': [a_camera()]}}, 'no such vehicle'),
        ({'rig': {'cameras': [a_camera(warp=1)]}}, "no attribute 'warp'"),
    ):
        with pytest.raises(ConfigError, match=word) as caught:
            DriveProcess(request_for(embedded, **changes)).__enter__()
        assert '\n' not in str(caught.value)


def a_camera(**attributes: object) -> dict[str, object]:
    size = {'image_size_x': 64, 'image_size_y': 48}
    return {'type': 'sensor.camera.rgb', 'id': 'front', **size, **attributes}


def test_no_server_is_one_line(request_for: Requests, free_server_port: Callable[[], int]) -> None:
    address = Address('127.0.0.1', free_server_port(), 2.0)
    with pytest.raises(ServerError, match='no CARLA server on'):
        DriveProcess(request_for(address)).__enter__()
    with pytest.raises(ServerError, match='no CARLA server on'):
        town_of(address)


def test_questions(embedded: Address) -> None:
    assert {'Highway', 'Grid'} <= set(towns_of(embedded))
    with pytest.raises(ServerError, match='no_such_call'):
        ask(embedded, 'no_such_call')
