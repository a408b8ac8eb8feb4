"""The page in a browser, the annotated bag in mcap's own reader, the video in FFmpeg."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from browser import browse

from seg_node.classes import LANE, ClassSet

TRUTH = ('--ground-truth', '/camera/labels')


@pytest.fixture
def report_folder(drive, replay, make_contract_model, tmp_path) -> Path:
    """A report on two models, one of which finds no paint."""
    other = make_contract_model(tmp_path / 'blind.onnx', thresholds=(128, 255))
    status, _, errors = replay(
        drive(frames=20, wrong=4), *TRUTH, '--model', other, '--report', tmp_path / 'report'
    )
    assert (status, errors) == (0, '')
    return tmp_path / 'report'


def test_page_needs_nothing_from_outside(report_folder):
    page = (report_folder / 'report.html').read_text()
    addresses = re.findall(r'(?:src|href)="([^"]{0,40})', page)
    assert addresses and all(address.startswith('data:image/jpeg') for address in addresses)
    assert not re.search(r'url\(|@import|fetch\(|<link', page)


def test_page_opens_in_a_browser(report_folder, tmp_path):
    dom = browse(report_folder / 'report.html', tmp_path / 'profile', '--dump-dom')
    assert 'data-frames="20"' in dom  # written by the page's own script
    assert dom.count('<svg') >= 6
    assert '<h2>Worst frames</h2>' in dom and '<h2>Is the difference real?</h2>' in dom
    words = re.sub(r'data:image/jpeg;base64,[^"]*', '', dom)
    assert 'NaN' not in words and 'undefined' not in words


def test_page_is_not_blank_and_shows_one_view_of_a_frame(report_folder, tmp_path):
    shot = tmp_path / 'page.png'
    browse(
        report_folder / 'report.html',
        tmp_path / 'profile',
        f'--screenshot={shot}',
        '--window-size=1100,2400',
        '--hide-scrollbars',
    )
    picture = cv2.imread(str(shot))
    assert picture.shape[:2] == (2400, 1100)
    assert np.unique(picture.reshape(-1, 3), axis=0).shape[0] > 100


def test_bag_names_cannot_break_the_page(drive, replay, tmp_path):
    bag = drive(name='a<b>&"</script>c'.replace('/', '_'))
    replay(bag, *TRUTH, '--report', tmp_path / 'report')
    page = (tmp_path / 'report' / 'report.html').read_text()
    assert '<b>&"' not in page.split('<script')[0]
    data = re.search(r'<script type="application/json" id="report">(.*?)</script>', page, re.S)
    assert json.loads(data[1])['frames']['evaluated'] == 12


HOSTILE = (
    '"\'</script></title><img src=x onerror="document.documentElement.dataset.taken=1">{{ 7*7 }}'
)


class Elements(HTMLParser):
    """The names and attributes of every element of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}


def hostile_report(bag_writer, replay, make_contract_model, folder: Path) -> Path:
    """A report in which every name that a stranger can choose tries to run a script."""
    name = HOSTILE.replace('/', '_')
    labels = folder / 'map.yaml'
    target = ['background', f'road {HOSTILE}', f'{HOSTILE}_line']
    content = {'name': HOSTILE, 'version': 1, 'target': target, 'ids': dict(enumerate(target))}
    labels.write_text(yaml.safe_dump(content))
    for index in range(4):
        stamp = 10**18 + index * 50_000_000
        mask = np.full((32, 64), index % 3, np.uint8)
        bag_writer.add(f'/{name}/image', mask, 'mono8', stamp)
        bag_writer.add(f'/other{name}/image', mask, 'mono8', stamp)
        bag_writer.add(f'/{name}/labels', mask, 'mono8', stamp)
    classes = ClassSet(('background', HOSTILE, f'{HOSTILE}2'), LANE.colours)
    model = make_contract_model(folder / f'{name}.onnx', name=HOSTILE, classes=classes)
    status, _, errors = replay(
        bag_writer.write(name), '--topic', f'/{name}/image', '--ground-truth', f'/{name}/labels',
        '--class-map', labels, '--model', model, '--report', folder / 'report',
    )  # fmt: skip
    assert status == 0, errors
    return folder / 'report' / 'report.html'


def test_names_of_strangers_stay_text(bag_writer, replay, make_contract_model, tmp_path):
    page = hostile_report(bag_writer, replay, make_contract_model, tmp_path)
    elements = Elements()
    elements.feed(page.read_text())
    assert elements.tags['script'] == 2
    assert 'onerror' not in elements.attributes
    assert '{{ 7*7 }}' in page.read_text()  # a name is no template either


def test_names_of_strangers_run_nothing_in_a_browser(
    bag_writer, replay, make_contract_model, tmp_path
):
    page = hostile_report(bag_writer, replay, make_contract_model, tmp_path)
    dom = browse(page, tmp_path / 'profile', '--dump-dom')
    assert 'data-frames="4"' in dom  # scripts do run
    assert not re.search(r'<html[^>]*data-taken', dom)


def test_annotated_bag_by_mcaps_own_reader(drive, replay, tmp_path, contract_model):
    """Masks, labels and figures stand under the stamps and frame ids of their frames."""
    from mcap.reader import make_reader
    from rosbags.typesys import Stores, get_typestore

    path = tmp_path / 'annotated.mcap'
    assert replay(drive(), *TRUTH, '--mcap', path)[0] == 0
    store = get_typestore(Stores.ROS2_JAZZY)
    masks, scores, stamps = [], [], []
    with path.open('rb') as stream:
        reader = make_reader(stream)
        for schema, channel, message in reader.iter_messages():
            content = store.deserialize_cdr(message.data, schema.name)
            if channel.topic == '/seg_node/mask':
                masks.append(np.asarray(content.data).reshape(content.height, content.width))
                stamps.append(content.header.stamp.nanosec)
                assert content.header.frame_id == 'camera_optical'
            elif channel.topic == '/seg_node/metrics/miou':
                scores.append(content.data)
        topics = {channel.topic for channel in reader.get_summary().channels.values()}
    assert {'/seg_node/overlay/compressed', '/seg_node/labels'} <= topics
    assert stamps == [index * 50_000_000 for index in range(12)]
    assert scores == [1.0] * 12
    assert masks[0][20].tolist() == [1] * 8 + [2] * 6 + [1] * 50


def test_overlay_video_has_every_frame(drive, replay, tmp_path):
    import av

    path = tmp_path / 'overlay.mp4'
    assert replay(drive(), '--video', path)[0] == 0
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format='bgr24') for frame in container.decode(video=0)]
    assert len(frames) == 12 and frames[0].shape == (32, 64, 3)


@pytest.mark.parametrize(
    ('option', 'name', 'words'),
    [
        ('--mcap', 'annotated.bag', 'expected a name that ends in .mcap'),
        ('--video', 'overlay.gif', 'not a kind of video that is written'),
    ],
)
def test_unwritable_names_are_refused_before_the_work(
    drive, replay, tmp_path, option, name, words
):
    status, report, errors = replay(drive(), option, tmp_path / name)
    assert status == 1
    assert words in errors and len(errors.splitlines()) == 1
    assert report is None
