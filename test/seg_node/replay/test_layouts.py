"""The Foxglove layouts place each panel once; that of replay reads topics of its bag."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from seg_node import rig_layouts
from seg_node.rig_file import rgb_cameras

REPOSITORY = Path(__file__).resolve().parents[3]


def panels(layout: object) -> list[str]:
    if isinstance(layout, str):
        return [layout]
    return panels(layout['first']) + panels(layout['second'])


@pytest.mark.parametrize('name', ['live', 'replay', 'rig'])
def test_foxglove_layout_places_every_panel_once(name):
    layout = json.loads((REPOSITORY / 'foxglove' / f'{name}.json').read_text())
    assert sorted(panels(layout['layout'])) == sorted(layout['configById'])


def test_foxglove_replay_layout_reads_the_annotated_bag(drive, replay, tmp_path):
    from mcap.reader import make_reader

    path = tmp_path / 'annotated.mcap'
    replay(drive(), '--ground-truth', '/camera/labels', '--mcap', path)
    with path.open('rb') as stream:
        written = {c.topic for c in make_reader(stream).get_summary().channels.values()}
    text = (REPOSITORY / 'foxglove' / 'replay.json').read_text()
    named = {topic.removesuffix('.data') for topic in re.findall(r'"(/[a-z0-9_/.]+)"', text)}
    assert named <= written


def test_layouts_of_a_rig_are_made_of_those_of_one_camera(tmp_path):
    cameras = [camera.name for camera in rgb_cameras(REPOSITORY / 'config' / 'rig_three.json')]
    assert cameras == ['rgb_left', 'rgb_front', 'rgb_right']
    assert rig_layouts.main([*cameras, '-o', str(tmp_path)]) == 0
    for name, shipped in (('rig.rviz', 'rviz'), ('rig.json', 'foxglove')):
        assert (tmp_path / name).read_text() == (REPOSITORY / shipped / name).read_text()


def test_a_layout_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / 'file').touch()
    assert rig_layouts.main(['left', '-o', str(tmp_path / 'file')]) == 1
    assert capsys.readouterr().err.count('\n') == 1
