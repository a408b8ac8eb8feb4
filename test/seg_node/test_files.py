"""Files are whole or not there."""

from __future__ import annotations

import json
import os

import cv2
import numpy as np
import pytest

from seg_node.errors import InputError, SegNodeError, problems_line
from seg_node.files import list_images, write_atomic, write_image, write_json
from seg_node.video import video_writer


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / 'report.json'
    target.write_text('old')

    def half_way() -> None:
        with write_atomic(target) as temporary:
            assert temporary.suffix == '.json'
            temporary.write_text('half')
            assert target.read_text() == 'old'
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half_way()
    assert target.read_text() == 'old'
    assert list(tmp_path.iterdir()) == [target]


def test_folders_are_made_and_the_file_is_readable_by_others(tmp_path):
    target = tmp_path / 'a' / 'b' / 'x.txt'
    before = os.umask(0o022)
    try:
        with write_atomic(target) as temporary:
            temporary.write_text('new')
    finally:
        os.umask(before)
    assert target.read_text() == 'new'
    assert target.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize('value', [float('nan'), {'a': [float('inf')]}, {'a': object()}])
def test_what_is_no_json_is_not_written(tmp_path, value):
    with pytest.raises((ValueError, TypeError)):
        write_json(tmp_path / 'x.json', value)
    assert not list(tmp_path.iterdir())


def test_json_round_trip(tmp_path):
    write_json(tmp_path / 'x.json', {'b': [1.5, None], 'a': 'ü'})
    assert json.loads((tmp_path / 'x.json').read_text()) == {'b': [1.5, None], 'a': 'ü'}


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / 'file').write_text('')
    (tmp_path / 'folder.png').mkdir()
    picture = np.zeros((4, 4), np.uint8)
    for target in (tmp_path / 'file' / 'x.png', tmp_path / 'folder.png'):
        with pytest.raises(InputError, match='cannot be written'):
            write_image(target, picture)
    with pytest.raises(InputError, match='cannot write a picture of this kind'):
        write_image(tmp_path / 'x.docx', picture)
    assert {p.name for p in tmp_path.iterdir()} == {'file', 'folder.png'}


def test_masks_come_back_as_they_were(tmp_path):
    mask = np.random.default_rng(0).integers(0, 256, (7, 9), np.uint8)
    write_image(tmp_path / 'mäsk.png', mask)
    read = cv2.imread(str(tmp_path / 'mäsk.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read, mask)


def test_pictures_of_a_folder_in_name_order(tmp_path):
    for name in ('b.PNG', 'a.jpg', 'c.txt', 'd.jpeg'):
        (tmp_path / name).write_bytes(b'')
    assert [p.name for p in list_images(tmp_path)] == ['a.jpg', 'b.PNG', 'd.jpeg']
    with pytest.raises(InputError, match='expected a folder with pictures'):
        (tmp_path / 'empty').mkdir()
        list_images(tmp_path / 'empty')


def test_a_video_that_fails_half_way_leaves_nothing(tmp_path):
    def half_way() -> None:
        with video_writer(tmp_path / 'x.mp4') as append:
            append(np.zeros((32, 48, 3), np.uint8))
            raise SegNodeError('stop')

    with pytest.raises(SegNodeError, match='stop'):
        half_way()
    with video_writer(tmp_path / 'y.mp4'):
        pass
    assert not list(tmp_path.iterdir())


def test_problems_in_one_line():
    assert problems_line('x', ['a']) == 'x: a'
    assert problems_line('x', ['a', 'b']) == 'x: 2 problems: (1) a; (2) b'
