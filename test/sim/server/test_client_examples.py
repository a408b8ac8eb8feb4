"""What CARLA's example programs need: traffic with walkers, range sensors, the recorder."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from seg_node_sim.server import recorder

PORT = 21600
PRELOAD = True


def test_traffic_of_the_example_program_drives(server, run_scenario):
    seen = run_scenario('traffic', PORT, manager_port=28600, town='Town03')
    assert seen['errors'] == [''] * 5 and seen['kind'] == 'controller.ai.walker'
    assert min(seen['moved']) > 3.0
    assert seen['speeds'] == 3
    assert not seen['navigation']  # documented: there is no mesh for walkers


def test_blueprints_that_programs_look_up_at_their_start(server, run_scenario):
    seen = run_scenario('lookups', PORT)
    assert seen['same'] and seen['dropoff'] == pytest.approx(0.45)
    assert 'sensor.camera.dvs: this server has no such sensor' in seen['refused']
    assert seen['ground'] == pytest.approx(0.0, abs=1e-4) and seen['above']


def test_range_sensors_measure_what_is_there(server, run_scenario):
    seen = run_scenario('ranging', PORT)
    assert all(seen['frames'])
    assert seen['lidar'] == pytest.approx(seen['gap'], abs=0.15)
    assert seen['semantic'] == pytest.approx(seen['gap'], abs=0.15)
    assert seen['body'] > 20 and seen['tags'] == [14]
    assert seen['facing'] > 0.9
    assert seen['ground'][0] == pytest.approx(-2.0, abs=0.02) and seen['ground'][1] > 1000
    assert seen['behind'] > 500  # all around
    assert seen['intensity'] < 1e-5
    assert (seen['channels'], seen['counts']) == (32, 0)
    assert seen['echoes'] > 20
    assert seen['speed'] == pytest.approx(6.0, abs=0.3)
    assert seen['obstacle'] == pytest.approx(seen['gap'] - 0.4, abs=0.1) and seen['other']


def read_text(data, place):
    (size,) = struct.unpack_from('<H', data, place)
    return data[place + 2 : place + 2 + size].decode(), place + 2 + size


def test_recorder_writes_carlas_format_into_its_own_folder(server, run_scenario):
    seen = run_scenario('recording', PORT)
    path = Path(seen['path'])
    assert path.name == 'drive 1.log' and path.parent.name.startswith('seg_node-recordings-')
    assert path.parent.stat().st_mode & 0o077 == 0
    assert 'expected the name of a file' in seen['wrong']
    assert 'show_recorder_file_info' in seen['info']
    data = path.read_bytes()
    (version,) = struct.unpack_from('<H', data)
    magic, place = read_text(data, 2)
    town, place = read_text(data, place + 8)
    assert (version, magic, town) == (recorder.VERSION, recorder.MAGIC, 'Highway')
    packets = []
    while place < len(data):
        kind, size = struct.unpack_from('<BI', data, place)
        packets.append((kind, data[place + 5 : place + 5 + size]))
        place += 5 + size
    assert place == len(data)
    starts = [struct.unpack('<Qdd', d) for kind, d in packets if kind == 0]
    assert [number for number, _, _ in starts] == list(range(1, 11))
    assert all(delta == pytest.approx(0.05) for _, delta, _ in starts)
    assert sum(kind == 1 for kind, _ in packets) == 10
    (added,) = [d for kind, d in packets if kind == 2]
    assert struct.unpack_from('<HIB', added) == (1, seen['car'], 1)
    name, _ = read_text(added, 7 + 24 + 4)
    assert name == 'vehicle.tesla.model3'
    places = [struct.unpack_from('<HI6f', d) for kind, d in packets if kind == 6]
    assert len(places) == 10 and {p[1] for p in places} == {seen['car']}
    assert places[-1][2] / 100.0 == pytest.approx(seen['x'], abs=1.0)
    controls = [struct.unpack_from('<HIfff?i', d) for kind, d in packets if kind == 8]
    assert controls[-1][3] == pytest.approx(0.8)
    path.unlink()
    path.parent.rmdir()
