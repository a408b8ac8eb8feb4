"""The process: ports, signals, clients that vanish, announced versions, raw requests."""

from __future__ import annotations

import json
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import msgpack
import pytest

from seg_node.errors import ConfigError
from seg_node_sim.server import ServerOptions, start_server_process
from seg_node_sim.server.plain_client import PlainClient
from seg_node_sim.server.process import command_line

PORT = 21400


def open_files(pid: int) -> int:
    return len(list(Path(f'/proc/{pid}/fd').iterdir()))


def settled_files(pid: int) -> int:
    """Open files once the sockets of earlier tests are gone."""
    count = open_files(pid)
    while True:
        time.sleep(0.3)
        if open_files(pid) == count:
            return count
        count = open_files(pid)


def wait_until(condition, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, 'waited in vain'
        time.sleep(0.05)


def test_unknown_and_broken_calls_get_an_error_envelope(server):
    with PlainClient(PORT) as client:
        assert client.call('version') == [[1, '0.9.16']]
        ((tag, message),) = client.call('get_the_moon', 3)
        assert tag == 0 and 'get_the_moon' in message[0]
        ((tag, message),) = client.call('set_the_moon', 3)
        assert tag is True and 'set_the_moon' in message[0]
        ((tag, message),) = client.call('spawn_actor', 'nonsense')
        assert tag == 0 and 'spawn_actor' in message[0]
        ((tag, message),) = client.call('set_actor_transform', 4711, [[0, 0, 0], [0, 0, 0]])
        assert tag is True and '4711' in message[0]
        ((tag, message),) = client.call('set_weather_parameters', [1.0])
        assert tag is True and '14' in message[0]
        assert client.call('get_actor_bounding_box', 4711)[0][0] == 1
        assert client.call('get_actors_by_id', [4711]) == [[1, []]]


def test_requests_may_come_in_pieces_and_in_bundles(server):
    with PlainClient(PORT) as client:
        one = msgpack.packb([0, 1, 'version', [[False]]])
        for byte in one[:-1]:
            client.socket.sendall(bytes([byte]))
        client.socket.sendall(one[-1:] + msgpack.packb([0, 2, 'get_map_data', [[True]]]))
        client.number = 1
        assert client.read() == [[1, '0.9.16']]
        client.number = 2
        assert '<OpenDRIVE' in client.read()[0][1]


def test_garbage_closes_the_connection_and_nothing_else(server):
    with PlainClient(PORT) as client:
        client.socket.sendall(b'GET / HTTP/1.1\r\n\r\n' * 4)
        assert client.socket.recv(100) == b''
    with PlainClient(PORT) as client:
        assert client.call('version') == [[1, '0.9.16']]


def test_killed_client_leaves_actors_but_no_sockets(server, start_scenario, run_scenario):
    before = settled_files(server.pid)
    first = start_scenario('hold', PORT)
    try:
        held = first_line(first)
        assert open_files(server.pid) >= before + 3  # control, world, camera
        seen = run_scenario('join', PORT, **held)
        assert seen['alive'] == [True, True] and seen['match']
    finally:
        first.kill()
        first.wait()
        first.stdout.close()
    wait_until(lambda: open_files(server.pid) <= before)
    seen = run_scenario('join', PORT, **held)
    assert seen['alive'] == [True, True] and seen['match']
    wait_until(lambda: open_files(server.pid) <= before)


def first_line(process: subprocess.Popen[str]) -> dict[str, int]:
    return json.loads(process.stdout.readline())


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_server_cleanly(number):
    port = 21410 + 3 * (number == signal.SIGINT)
    with start_server_process(ServerOptions(port=port, preload=False)) as running:
        running.process.send_signal(number)
        assert running.process.wait(10.0) == 0
        assert 'Traceback' not in running.text()


def test_ctrl_c_lets_clients_clean_up_first():
    options = ServerOptions(port=21416, preload=False)
    with start_server_process(options) as running, PlainClient(options.port) as client:
        assert client.call('version') == [[1, '0.9.16']]
        running.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert client.call('version') == [[1, '0.9.16']]
        client.socket.close()
        assert running.process.wait(1.5) == 0
    with start_server_process(options) as running, PlainClient(options.port) as client:
        client.call('version')
        for _ in range(2):  # asked twice it does not wait
            running.process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        assert running.process.wait(1.5) == 0


def test_port_in_use_is_one_line_and_exit_1(server):
    done = subprocess.run(
        command_line(ServerOptions(port=PORT)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        f'error: port {PORT} on 127.0.0.1 is in use: choose another port'
    ]
    with pytest.raises(ConfigError, match='in use'), start_server_process(server.options):
        pass


def test_unknown_town_is_one_line_and_exit_1():
    done = subprocess.run(
        command_line(ServerOptions(port=21420, town='Atlantis')),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert 'Atlantis' in done.stderr and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize('version, world_id', [('0.9.16', 17), ('0.9.15', 16)])
def test_sensor_ids_follow_the_announced_version(version, world_id):
    port = 21430 + 3 * (world_id == 16)
    with (
        start_server_process(ServerOptions(port=port, announce=version, preload=False)),
        PlainClient(port) as client,
    ):
        assert client.call('version') == [[1, version]]
        episode, (token,) = client.call('get_episode_info')[0][1]
        stream_id, stream_port, protocol, address_type = struct.unpack_from('<IHBB', token)
        assert (protocol, address_type, len(token)) == (1, 0, 24)
        with socket.create_connection(('127.0.0.1', stream_port), timeout=20.0) as stream:
            stream.sendall(struct.pack('<I', stream_id))
            head = stream.recv(4 + 48, socket.MSG_WAITALL)
        size, type_id, frame = struct.unpack_from('<IQQ', head)
        assert type_id == world_id and frame > 0 and (size - 48 - 36) % 119 == 0
        assert episode == 1


def test_traffic_manager_register_forgets_a_vanished_client(server):
    with PlainClient(PORT) as first:
        assert first.call('add_traffic_manager_running', ['127.0.0.1', 28999]) == [[1, True]]
        with PlainClient(PORT) as second:
            assert second.call('is_traffic_manager_running', 28999) == [[1, True]]
            assert second.call('add_traffic_manager_running', ['::1', 28999]) == [[1, False]]
    with PlainClient(PORT) as third:
        wait_until(lambda: third.call('is_traffic_manager_running', 28999) == [[1, False]])


def test_server_ends_with_its_parent():
    code = (
        'import subprocess, sys\n'
        'from seg_node_sim.server.options import ServerOptions\n'
        'from seg_node_sim.server.process import command_line\n'
        'options = ServerOptions(port=21440, preload=False, exit_with_parent=True)\n'
        'child = subprocess.Popen(command_line(options), stdout=subprocess.PIPE)\n'
        'child.stdout.readline()\n'
        'print(child.pid)\n'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    pid = int(done.stdout)
    wait_until(lambda: not Path(f'/proc/{pid}').exists() or _is_zombie(pid))


def _is_zombie(pid: int) -> bool:
    return Path(f'/proc/{pid}/stat').read_text().split()[2] == 'Z'
