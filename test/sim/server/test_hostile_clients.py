"""Clients that send what no client should: they lose their connection, nobody else anything."""

from __future__ import annotations

import contextlib
import resource
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import msgpack
import pytest

from seg_node_sim.maps import load_town
from seg_node_sim.server import ServerOptions, start_server_process
from seg_node_sim.server.plain_client import PlainClient
from seg_node_sim.server.process import command_line

PORT = 21500
NAN, INF = float('nan'), float('inf')
VERSION = [[1, '0.9.16']]


def resident_mb(pid):
    return int(Path(f'/proc/{pid}/statm').read_text().split()[1]) * 4096 / 1e6


def packed(number, method, *args):
    return msgpack.packb([0, number, method, [[False], *args]])


def answer_of(data, timeout_s=20.0):
    """What the server sends back to raw bytes; b'' when it closes the connection."""
    with socket.create_connection(('127.0.0.1', PORT), timeout=timeout_s) as sock:
        sock.sendall(data)
        with contextlib.suppress(ConnectionError):
            return sock.recv(1 << 16)
        return b''


@pytest.fixture
def alive(server):
    """After the test a client that behaves is served, at once, and memory is what it was."""
    yield
    started = time.monotonic()
    with PlainClient(PORT) as client:
        assert client.call('version') == VERSION
    assert time.monotonic() - started < 5.0
    assert 'Traceback' not in server.text()


def test_name_that_is_not_utf8_is_answered_with_valid_text(alive):
    data = answer_of(b'\x94\x00\x07\xa4\xff\xfe\xfda\x91\x91\xc2')
    kind, number, error, ((tag, (message,)),) = msgpack.unpackb(data)  # strict UTF-8
    assert (kind, number, error, tag) == (1, 7, None, 0)
    assert 'does not have this call' in message and 'a:' in message


def test_text_that_is_not_utf8_comes_back_as_it_was(alive):
    name = b'h\xe9ro'
    request = [0, 1, 'spawn_actor', [[False], [1, 'vehicle.audi.tt', [['role_name', 4, name]]],
                                     [[0, 0, 900], [0, 0, 0]]]]  # fmt: skip
    with PlainClient(PORT) as client:
        client._unpacker = msgpack.Unpacker(raw=True)
        client.number = 1
        client.socket.sendall(msgpack.packb(request, use_bin_type=False))
        ((good, actor),) = client.read()
        assert good == 1 and [b'role_name', 4, name] in actor[2][2]
        assert client.call('destroy_actor', actor[0]) == [[1, True]]


@pytest.mark.parametrize(
    'request_',
    [
        [0, (1 << 64) - 1, 'version', [[False]]],
        [0, -1, 'version', [[False]]],
        [0, None, 'version', [[False]]],
        [0, 1, 5, [[False]]],
        [0, 1, 'version', 'text'],
        [1, 1, None, 3],
        [[[[]]]],
        'text',
        {},
        None,
    ],
)
def test_what_is_no_request_closes_its_connection(alive, request_):
    assert answer_of(msgpack.packb(request_)) == b''


@pytest.mark.parametrize('data', [b'\x91' * 3000 + b'\x01', b'\xc1', b'\x94\x00\x01\xd7\xff' * 9])
def test_nesting_and_broken_bytes_close_their_connection(alive, data):
    assert answer_of(data) == b''


@pytest.mark.parametrize('bad', [NAN, INF, -INF, 'nan', [1.0]])
def test_numbers_that_are_none_are_refused_everywhere(alive, bad):
    with PlainClient(PORT) as client:
        before = client.call('get_weather_parameters')
        spawn = [1, 'vehicle.audi.tt', []]
        ((_, actor),) = client.call('spawn_actor', spawn, [[0, 0, 500], [0, 0, 0]])
        car = actor[0]
        calls = [
            ('set_weather_parameters', [bad] * 14),
            ('set_weather_parameters', [5.0] * 13 + [bad]),
            ('set_episode_settings', [False, False, [True, bad]]),
            ('spawn_actor', spawn, [[bad, 0, 0], [0, 0, 0]]),
            ('spawn_actor', spawn, [[0, 0, 0], [0, bad, 0]]),
            ('set_actor_transform', car, [[0, bad, 0], [0, 0, 0]]),
            ('set_actor_location', car, [0, 0, bad]),
            ('set_actor_target_velocity', car, [bad, 0, 0]),
            ('set_actor_target_angular_velocity', car, [0, 0, bad]),
            ('enable_actor_constant_velocity', car, [bad, 0, 0]),
            ('add_actor_impulse', car, [bad, 0, 0]),
            ('apply_control_to_vehicle', car, [bad, 0.0, 0.0, False, False, False, 0]),
            ('apply_control_to_vehicle', car, [0.0, bad, 0.0, False, False, False, 0]),
            ('apply_ackermann_control_to_vehicle', car, [0.0, 0.0, bad, 0.0, 0.0]),
            ('apply_physics_control', car, [[[0.0, bad]]] + [1.0] * 16),
            ('set_vehicle_light_state', car, [bad]),
        ]
        for method, *args in calls:
            ((tag, rest),) = client.call(method, *args)
            assert tag is True or (tag == 0 and not isinstance(tag, bool)), (method, args)
            assert len(rest[0].splitlines()) == 1 and len(rest[0]) < 200
        answers = client.call(
            'apply_batch', [[[2, [car, [bad] * 7]]], [[6, [car, [[bad]]]]]], False
        )
        assert [tag for ((tag, _),) in answers] == [0, 0]
        assert client.call('get_weather_parameters') == before
        assert client.call('destroy_actor', car) == [[1, True]]


def test_weather_is_brought_into_range(alive):
    with PlainClient(PORT) as client:
        assert client.call('set_weather_parameters', [1e20] * 14) == [[False]]
        ((_, values),) = client.call('get_weather_parameters')
        assert max(values) == 1e5 and values[0] == 100.0 and values[5] == 90.0
        client.call('load_new_episode', '', True, 0)


def test_attributes_are_finite_and_pictures_have_a_largest_size(alive):
    with PlainClient(PORT) as client:
        for attributes, part in (
            ([['lens_k', 3, 'inf']], 'lens_k: expected float'),
            ([['fov', 3, 'nan']], 'fov: expected float'),
            ([['image_size_x', 2, '8192'], ['image_size_y', 2, '8192']], '16777216 pixels'),
            ([['image_size_x', 2, '4294967296']], 'image_size_x: expected int'),
        ):
            spawn = [1, 'sensor.camera.rgb', attributes]
            ((tag, rest),) = client.call('spawn_actor', spawn, [[0, 0, 0], [0, 0, 0]])
            assert tag == 0 and part in rest[0]


def test_actors_have_a_largest_number(alive):
    with PlainClient(PORT) as client:
        client.call('set_episode_settings', [True, False, [True, 0.05]])
        place = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
        spawn = [[0, [[1, 'sensor.other.gnss', []], place, [False], 0, '', []]]]
        answers = client.call('apply_batch', [spawn] * 2100, False)
        failed = [rest for ((tag, rest),) in answers if tag == 0]
        assert 100 <= len(failed) <= 110 and '2000' in failed[0][0]
        client.call('load_new_episode', '', True, 0)


def test_world_has_an_edge(alive):
    with PlainClient(PORT) as client:
        client.call('set_episode_settings', [True, False, [True, 10.0]])
        spawn, place = [1, 'vehicle.audi.tt', []], [[9.9e5, 0, 0], [0, 0, 0]]
        ((_, actor),) = client.call('spawn_actor', spawn, place)
        client.call('enable_actor_constant_velocity', actor[0], [1e4, 0, 0])
        for _ in range(4):
            client.call('tick_cue')
        ((_, (token_holder)),) = client.call('get_episode_info')
        frame = read_snapshot(token_holder)
        assert max(abs(x) for x, *_ in frame) <= 1e6
        client.call('load_new_episode', '', True, 0)


def read_snapshot(info):
    """Places of all actors in the next asynchronous or synchronous snapshot."""
    stream_id, port = struct.unpack_from('<IH', info[1][0])
    with (
        socket.create_connection(('127.0.0.1', port), timeout=20.0) as stream,
        PlainClient(PORT) as client,
    ):
        stream.sendall(struct.pack('<I', stream_id))
        time.sleep(0.2)
        client.call('tick_cue')
        (size,) = struct.unpack('<I', stream.recv(4, socket.MSG_WAITALL))
        data = stream.recv(size, socket.MSG_WAITALL)
    return [struct.unpack_from('<3f', data, k + 5) for k in range(84, size, 119)]


def test_memory_stays_bounded(alive, server):
    before = resident_mb(server.pid)
    maps = 15 << 20
    head = b'\x94\x00\x01\xa7version\x92\x91\xc2\xdd' + struct.pack('>I', maps)
    with contextlib.suppress(OSError):
        assert answer_of(head + b'\x80' * maps) == b''
    # Texts that never end, of many clients.
    unfinished = []
    for _ in range(20):
        sock = socket.create_connection(('127.0.0.1', PORT), timeout=5.0)
        unfinished.append(sock)
        with contextlib.suppress(OSError):
            sock.sendall(b'\x94\x00\x01\xdb\xff\xff\xff\xf0' + b'a' * (15 << 20))
    grown = resident_mb(server.pid) - before
    for sock in unfinished:
        sock.close()
    assert grown < 200.0
    # Answers that nobody reads.
    with socket.create_connection(('127.0.0.1', PORT), timeout=5.0) as sock:
        with contextlib.suppress(OSError):
            for number in range(3000):
                sock.sendall(packed(number, 'get_map_data'))
        time.sleep(0.5)
        assert resident_mb(server.pid) - before < 200.0


def test_flood_of_small_requests_is_read_as_fast_as_it_is_answered(alive, server):
    before = resident_mb(server.pid)
    burst = b''.join(packed(n, 'get_actor_bounding_box', 4711) for n in range(20_000))
    with socket.create_connection(('127.0.0.1', PORT), timeout=30.0) as sock:
        unpacker, answers, sent = msgpack.Unpacker(), [], 0
        sock.setblocking(False)
        deadline = time.monotonic() + 60.0
        while len(answers) < 20_000 and time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                sent += sock.send(burst[sent : sent + 65536]) if sent < len(burst) else 0
            with contextlib.suppress(BlockingIOError):
                unpacker.feed(sock.recv(65536))
                answers += [number for _, number, _, _ in unpacker]
    assert answers == list(range(20_000))
    assert resident_mb(server.pid) - before < 100.0


def test_token_without_subscriber_costs_one_wait_at_most(alive):
    with PlainClient(PORT) as client:
        client.call('set_episode_settings', [True, False, [True, 0.05]])
        spawn = [1, 'sensor.other.gnss', []]
        ((_, actor),) = client.call('spawn_actor', spawn, [[0, 0, 0], [0, 0, 0]])
        (stream_id,) = struct.unpack_from('<I', actor[5])
        with PlainClient(PORT) as other:  # whoever asks for a token holds up nobody else
            other.call('get_sensor_token', stream_id)
            started = time.monotonic()
            client.call('tick_cue')
            assert time.monotonic() - started < 0.4
        started = time.monotonic()
        for _ in range(10):
            client.call('get_sensor_token', stream_id)
            client.call('tick_cue')
        assert time.monotonic() - started < 2.0
        client.call('load_new_episode', '', True, 0)


def lane(number, length, x=0.0):
    return (
        f'<road id="{number}" junction="-1" length="{length}"><planView><geometry s="0" x="{x}" '
        f'y="0" hdg="0" length="{length}"><line/></geometry></planView><lanes><laneSection s="0">'
        '<center><lane id="0" type="none"/></center><right><lane id="-1" type="driving"><width '
        'sOffset="0" a="3.5" b="0" c="0" d="0"/></lane></right></laneSection></lanes></road>'
    )


@pytest.mark.parametrize(
    'roads, part',
    [
        (lane(1, 1e8), '50 km'),
        (lane(1, 'inf'), 'finite'),
        (lane(1, 100, 'nan'), 'finite'),
        (lane(1, 30e3) + lane(2, 30e3), '1 km2'),
        (lane(1, 100, -5e6) + lane(2, 100, 5e6), '100 km2'),
        ('<!ENTITY a "aaaa">', 'entity'),
        ('', 'at least one road'),
    ],
)
def test_maps_that_cannot_be_drawn_are_refused_at_once(alive, roads, part):
    with PlainClient(PORT) as client:
        started = time.monotonic()
        answer = client.call('copy_opendrive_to_file', f'<OpenDRIVE>{roads}</OpenDRIVE>', [])
        assert time.monotonic() - started < 2.0
        ((tag, rest),) = answer
        assert tag is True and part in rest[0]


def test_one_sided_road_is_a_town(alive):
    with PlainClient(PORT) as client:
        text = f'<OpenDRIVE>{lane(1, 200)}</OpenDRIVE>'
        assert client.call('copy_opendrive_to_file', text, []) == [[False]]
        assert client.call('load_new_episode', 'OpenDriveMap', True, 0) == [[False]]
        assert client.call('get_map_info')[0][1][0] == 'Carla/Maps/OpenDriveMap'
        client.call('load_new_episode', 'Highway', True, 0)


def test_names_of_carlas_towns_are_towns_of_the_same_kind(alive):
    with PlainClient(PORT) as client:
        for name, kind in (('Town03', 'Roundabout'), ('Town04_Opt', 'Highway')):
            assert client.call('load_new_episode', f'/Game/Carla/Maps/{name}', True, 0) == [
                [False]
            ]
            assert client.call('get_map_info')[0][1][0] == f'Carla/Maps/{name}'
            assert client.call('get_map_data')[0][1] == load_town(kind).xodr
        ((_, names),) = client.call('get_available_maps')
        assert not any('Town0' in name for name in names)  # held-out towns stay held out
        client.call('load_new_episode', 'Highway', True, 0)


def test_out_of_descriptors_is_one_line_and_passes():
    port = 21510
    options = ServerOptions(port=port, preload=False)
    code = (
        'import resource, os, sys\n'
        'resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))\n'
        'os.execv(sys.argv[1], sys.argv[1:])\n'
    )
    command = [sys.executable, '-c', code, *command_line(options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            assert b'protocol on' in process.stdout.readline()
            many = []
            for _ in range(100):
                with contextlib.suppress(OSError):
                    many.append(socket.create_connection(('127.0.0.1', port), timeout=2.0))
            time.sleep(2.5)
            for sock in many:
                sock.close()
            wait = time.monotonic() + 20.0
            while True:
                with contextlib.suppress(OSError, AssertionError), PlainClient(port) as client:
                    assert client.call('version') == VERSION
                    break
                assert time.monotonic() < wait
                time.sleep(0.2)
        finally:
            process.kill()
        said = process.stdout.read().splitlines()
    assert len(said) < 10 and b'Traceback' not in b''.join(said)


def test_limit_of_connections_leaves_room_for_clients_that_speak(server, alive):
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 600:
        pytest.skip('too few descriptors here')
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_connection(('127.0.0.1', PORT), timeout=2.0))
        time.sleep(6.0)  # Limits.silent_s
        with PlainClient(PORT) as client:
            assert client.call('version') == VERSION


def test_server_process_says_when_others_can_reach_it():
    options = ServerOptions(host='0.0.0.0', port=21520, preload=False)
    with start_server_process(options) as running:
        assert 'anyone who reaches' in running.text()
    assert ServerOptions().host == '127.0.0.1'
