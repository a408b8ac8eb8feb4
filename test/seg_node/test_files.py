"""Files are whole or not there."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_node.children import child_environment
from seg_node.errors import InputError, SegNodeError, problems_line
from seg_node.files import list_images, write_atomic, write_image, write_json
from seg_node.images.video import video_writer


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


def limited_to(size: int, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `code` where a file takes no more than `size` bytes: EFBIG, as a full disk's ENOSPC."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return subprocess.run(
        [sys.executable, '-c', code, str(folder)],
        capture_output=True, text=True, check=False, env=child_environment(), preexec_fn=limit,
    )  # fmt: skip


@pytest.mark.parametrize(
    ('name', 'call'),
    [
        ('a.png', 'write_image(f, np.random.default_rng(0).integers(0, 255, (90, 90), np.uint8))'),
        ('a.json', 'write_json(f, list(range(9000)))'),
    ],
)
def test_a_disk_that_takes_no_more_leaves_what_stood_there(name, call, tmp_path):
    """`cv2.imwrite` says that all went well and leaves a file of 0 bytes."""
    (tmp_path / name).write_bytes(b'before')
    code = (
        'import sys, numpy as np\nfrom pathlib import Path\n'
        'from seg_node.files import write_image, write_json\n'
        'from seg_node.errors import InputError\n'
        f'f = Path(sys.argv[1]) / {name!r}\n'
        f'try:\n    {call}\nexcept InputError as error:\n    print(error)\n'
    )
    done = limited_to(2000, code, tmp_path)
    assert done.stdout == f'{tmp_path / name}: cannot be written: File too large\n', done.stderr
    assert (tmp_path / name).read_bytes() == b'before'
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_full_file_system_is_said(tmp_path):
    """/dev/full answers every write as a full disk does."""
    with (
        pytest.raises(InputError, match='cannot be written: No space left on device'),
        write_atomic(tmp_path / 'a') as temporary,
        open('/dev/full', 'wb', buffering=0) as full,  # noqa: PTH123
    ):
        full.write(b'x')
    assert not list(tmp_path.iterdir()) and not temporary.exists()


def test_a_folder_that_may_not_be_read_is_one_line(tmp_path, monkeypatch):
    def refuse(folder: Path) -> None:
        raise PermissionError(errno.EACCES, 'Permission denied', str(folder))

    monkeypatch.setattr(Path, 'iterdir', refuse)  # root may read every folder
    with pytest.raises(InputError, match='cannot be read: Permission denied'):
        list_images(tmp_path)
