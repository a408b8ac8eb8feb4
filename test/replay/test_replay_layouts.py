"""The RViz configuration and the Foxglove layouts name topics that exist, and panels once each."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
NODE_TOPICS = {
    '/seg_node/mask',
    '/seg_node/confidence',
    '/seg_node/overlay',
    '/seg_node/overlay/compressed',
    '/seg_node/lane_points',
    '/lane_map/points',
    '/diagnostics',
}


def panels(layout: object) -> list[str]:
    if isinstance(layout, str):
        return [layout]
    return panels(layout['first']) + panels(layout['second'])


@pytest.mark.parametrize('name', ['live', 'replay'])
def test_foxglove_layout_places_every_panel_once(name):
    layout = json.loads((REPOSITORY / 'foxglove' / f'{name}.json').read_text())
    assert sorted(panels(layout['layout'])) == sorted(layout['configById'])


def test_foxglove_live_layout_reads_the_nodes_topics():
    text = (REPOSITORY / 'foxglove' / 'live.json').read_text()
    assert set(re.findall(r'"(/[a-z_/]+)"', text)) <= NODE_TOPICS


def test_foxglove_replay_layout_reads_the_annotated_bag(drive, replay, tmp_path):
    from mcap.reader import make_reader

    path = tmp_path / 'annotated.mcap'
    replay(drive(), '--ground-truth', '/camera/labels', '--mcap', path)
    with path.open('rb') as stream:
        written = {c.topic for c in make_reader(stream).get_summary().channels.values()}
    text = (REPOSITORY / 'foxglove' / 'replay.json').read_text()
    named = {topic.removesuffix('.data') for topic in re.findall(r'"(/[a-z0-9_/.]+)"', text)}
    assert named <= written


def test_rviz_configuration_reads_the_nodes_topics():
    config = yaml.safe_load((REPOSITORY / 'rviz' / 'seg_node.rviz').read_text())
    displays = config['Visualization Manager']['Displays']
    topics = {d['Topic']['Value'] for d in displays if 'Topic' in d}
    assert topics and topics <= NODE_TOPICS
