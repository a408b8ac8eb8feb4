"""Rig files in ros-bridge's objects.json form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seg_node.errors import ConfigError
from seg_node_sim.client.rig import load_rig, parse_rig

ROS_BRIDGE = {
    'objects': [
        {'type': 'sensor.pseudo.traffic_lights', 'id': 'traffic_lights'},
        {
            'type': 'vehicle.lincoln.mkz_2017',
            'id': 'hero',
            'sensors': [
                {
                    'type': 'sensor.camera.rgb',
                    'id': 'rgb_front',
                    'spawn_point': {'x': 2.0, 'y': 0.5, 'z': 2.0, 'roll': 0, 'pitch': 5, 'yaw': 0},
                    'image_size_x': 320,
                    'image_size_y': 200,
                    'fov': 80.0,
                    'sensor_tick': 0.05,
                    'gamma': 2.2,
                    'enable_postprocess_effects': True,
                },
                {'type': 'sensor.lidar.ray_cast', 'id': 'lidar', 'range': 50},
                {'type': 'sensor.pseudo.odom', 'id': 'odometry'},
            ],
        },
    ]
}


def test_ros_bridge_file() -> None:
    rig = parse_rig(ROS_BRIDGE, 'objects.json')
    assert (rig.vehicle, rig.role_name) == ('vehicle.lincoln.mkz_2017', 'hero')
    assert set(rig.skipped) == {
        'sensor.pseudo.traffic_lights', 'sensor.lidar.ray_cast', 'sensor.pseudo.odom'
    }  # fmt: skip
    (camera,) = rig.cameras
    assert camera.spawn_point.pose().y == -0.5
    attributes = camera.attributes()
    assert attributes['gamma'] == '2.2' and attributes['enable_postprocess_effects'] == 'true'
    assert 'sensor_tick' not in attributes  # frames are joined by id, every tick has one
    assert parse_rig(ROS_BRIDGE, 'objects.json', 'ego').role_name == 'ego'


def test_all_problems_at_once() -> None:
    broken = json.loads(json.dumps(ROS_BRIDGE))
    camera = broken['objects'][1]['sensors'][0]
    camera['image_size_x'] = 0
    camera['fov'] = 'wide'
    camera['spawn_point']['height'] = 1
    broken['objects'][1]['sensors'].append({'type': 'sensor.camera.depth'})
    with pytest.raises(ConfigError) as caught:
        parse_rig(broken, 'objects.json')
    text = str(caught.value)
    assert '4 problems' in text and '\n' not in text
    for word in ('image_size_x', 'fov', 'height', 'sensors[3].id'):
        assert word in text


@pytest.mark.parametrize(
    ('raw', 'word'),
    [
        ([], 'objects'),
        ({'objects': []}, 'found 0'),
        ({'objects': [{'type': 'vehicle.a.b', 'id': 'e', 'sensors': []}]}, 'at least one'),
    ],
)
def test_no_use(raw: object, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        parse_rig(raw, 'x')


def test_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='No such file'):
        load_rig(tmp_path / 'none.json')
    (tmp_path / 'bad.json').write_text('{')
    with pytest.raises(ConfigError, match='not JSON'):
        load_rig(tmp_path / 'bad.json')
    (tmp_path / 'deep.json').write_text('[' * 100_000)
    with pytest.raises(ConfigError, match='nested too deeply'):
        load_rig(tmp_path / 'deep.json')


@pytest.mark.parametrize('name', ['rig.json', 'rig_hd.json'])
def test_shipped_rigs(name: str) -> None:
    rig = load_rig(Path(__file__).parents[3] / 'config' / name)
    camera = rig.of_kind('rgb')[0]
    assert rig.twin(camera, 'depth') and rig.twin(camera, 'semantic')
