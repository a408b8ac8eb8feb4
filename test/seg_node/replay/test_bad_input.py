"""Damaged bags and labels: one line each, what is left is evaluated, the exit status says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

STEP = 50_000_000
T0 = 1_700_000_000 * 10**9
TRUTH = ('--ground-truth', '/camera/labels')
IN_PART = 3


def lines(errors: str) -> list[str]:
    assert 'Traceback' not in errors
    return errors.strip().splitlines()


def test_truncated_mcap_is_read_up_to_the_break(drive, replay):
    (file,) = drive(frames=40).glob('*.mcap')
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    status, report, errors = replay(file, *TRUTH)
    assert status == IN_PART
    assert 0 < report['frames']['evaluated'] < 40
    assert report['models'][0]['miou'] == 1.0
    (line,) = lines(errors)
    assert str(file) in line and 'magic' in line and 'recovered' in line
    assert report['complete'] is False


def test_truncated_bag_folder_is_read_as_well(drive, replay):
    bag = drive(frames=40)
    (file,) = bag.glob('*.mcap')
    file.write_bytes(file.read_bytes()[:-2000])
    status, report, errors = replay(bag, *TRUTH)
    assert status == IN_PART
    assert report['frames']['evaluated'] >= 30
    assert len(lines(errors)) == 1


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_missing_metadata_is_named_and_the_files_are_read(drive, replay, storage):
    bag = drive(storage=storage)
    (bag / 'metadata.yaml').unlink()
    status, report, errors = replay(bag, *TRUTH)
    assert status == IN_PART
    assert report['frames']['evaluated'] == 12
    (line,) = lines(errors)
    assert 'metadata.yaml is missing' in line


def test_mcap_without_an_index_is_whole(drive, replay, tmp_path):
    """Such a file ends properly but has no summary: nothing is lost, nothing is complained of."""
    from mcap.reader import NonSeekingReader
    from mcap.writer import IndexType, Writer

    (file,) = drive().glob('*.mcap')
    plain = tmp_path / 'plain.mcap'
    with file.open('rb') as source, plain.open('wb') as target:
        writer = Writer(
            target,
            index_types=IndexType.NONE,
            repeat_channels=False,
            repeat_schemas=False,
            use_statistics=False,
            use_summary_offsets=False,
        )
        writer.start('ros2', 'test')
        schemas: dict[int, int] = {}
        channels: dict[int, int] = {}
        for schema, channel, message in NonSeekingReader(source).iter_messages():
            if schema.id not in schemas:
                schemas[schema.id] = writer.register_schema(
                    schema.name, schema.encoding, schema.data
                )
            if channel.id not in channels:
                channels[channel.id] = writer.register_channel(
                    channel.topic, 'cdr', schemas[schema.id], channel.metadata
                )
            writer.add_message(
                channels[channel.id], message.log_time, message.data, message.publish_time
            )
        writer.finish()
    status, report, errors = replay(plain, *TRUTH)
    assert (status, errors) == (0, '')
    assert report['frames']['with_ground_truth'] == 12


@pytest.mark.parametrize('compression', ['', 'bz2', 'lz4'])
def test_ros1_bag_that_breaks_off_is_evaluated_as_far_as_it_goes(drive, replay, compression):
    bag = drive(storage=f'ros1 {compression}'.strip(), frames=40)
    whole = replay(bag, *TRUTH)[1]
    bag.write_bytes(bag.read_bytes()[: bag.stat().st_size * 2 // 3])
    status, report, errors = replay(bag, *TRUTH)
    assert status == IN_PART
    (line,) = lines(errors)
    assert str(bag) in line and 'messages could be recovered' in line
    done = report['frames']['evaluated']
    assert 0 < done < 40
    expected = replay(drive(storage='ros1', frames=40, name='again'), *TRUTH, '--limit', done)[1]
    assert report['models'][0]['masks_digest'] == expected['models'][0]['masks_digest']
    assert whole['frames']['evaluated'] == 40


@pytest.mark.parametrize(
    ('name', 'content', 'expected'),
    [('a.mcap', b'', 'empty'), ('b.mcap', b'rubbish' * 99, 'magic'), ('c.bag', b'x' * 99, 'bag')],
)
def test_files_that_are_no_bags(replay, tmp_path, name, content, expected):
    path = tmp_path / name
    path.write_bytes(content)
    status, report, errors = replay(path)
    assert status == 1 and report is None
    (line,) = lines(errors)
    assert expected in line and str(path) in line


def test_missing_and_empty_bags(replay, tmp_path, bag_writer):
    status, _, errors = replay(tmp_path / 'none')
    assert status == 1 and 'no such bag' in lines(errors)[0]
    empty = tmp_path / 'folder'
    empty.mkdir()
    status, _, errors = replay(empty)
    assert status == 1 and 'expected a bag' in lines(errors)[0]
    status, _, errors = replay(bag_writer.write('nothing'))
    assert status == 1 and 'expected an image topic' in lines(errors)[0]


def test_wrong_topic_lists_the_right_ones(drive, replay):
    status, _, errors = replay(drive(), '--topic', '/nope')
    assert status == 1
    (line,) = lines(errors)
    assert '/nope' in line and '/camera/image_raw' in line


def test_wrong_truth_topic_still_runs_the_drive(drive, replay):
    status, report, errors = replay(drive(), '--ground-truth', '/nope')
    assert status == IN_PART
    assert report['frames']['evaluated'] == 12
    assert '/nope' in lines(errors)[0] and '/camera/labels' in lines(errors)[0]


def test_unknown_encoding_in_the_middle(bag_writer, replay):
    for index in range(6):
        encoding = 'rgb565' if index in (2, 3) else 'bgr8'
        pixels = np.zeros((32, 64, 3), np.uint8)
        bag_writer.add('/camera/image', pixels, encoding, T0 + index * STEP)
    status, report, errors = replay(bag_writer.write('b'))
    assert status == IN_PART
    assert report['frames']['evaluated'] == 4
    assert report['frames']['rejected'] == {'encoding': 2}
    (line,) = lines(errors)
    assert 'rgb565' in line and '2 frame(s), the first 2' in line


def test_truth_of_another_size_is_not_used(drive, replay, bag_writer):
    for index in range(4):
        size = (16, 32) if index == 1 else (32, 64)
        stamp = T0 + index * STEP
        bag_writer.add('/camera/image', np.zeros((32, 64, 3), np.uint8), 'bgr8', stamp)
        bag_writer.add('/camera/labels', np.zeros(size, np.uint8), 'mono8', stamp)
    status, report, errors = replay(bag_writer.write('b'), *TRUTH)
    assert status == IN_PART
    frames = report['frames']
    assert (frames['evaluated'], frames['with_ground_truth']) == (4, 3)
    assert frames['ground_truth_not_used'] == 1
    (line,) = lines(errors)
    assert 'expected 64x32' in line and 'got 32x16' in line


def test_unmatched_frames_and_labels_are_counted_and_listed(bag_writer, replay):
    picture, label = np.zeros((32, 64, 3), np.uint8), np.zeros((32, 64), np.uint8)
    for index in range(6):
        if index != 2:
            bag_writer.add('/camera/image', picture, 'bgr8', T0 + index * STEP)
        if index != 4:
            bag_writer.add('/camera/labels', label, 'mono8', T0 + index * STEP)
    bag_writer.add('/camera/labels', label, 'mono8', T0 + 9 * STEP)
    status, report, _ = replay(bag_writer.write('b'), *TRUTH)
    assert status == 0
    frames = report['frames']
    assert (frames['with_ground_truth'], frames['without_ground_truth']) == (4, 1)
    assert frames['without_ground_truth_stamps'] == [T0 + 4 * STEP]
    assert frames['labels_without_frame'] == 2
    assert frames['labels_without_frame_stamps'] == [T0 + 2 * STEP, T0 + 9 * STEP]


def test_bad_bag_among_good_ones_does_not_stop_them(drive, replay, tmp_path):
    good = drive(name='good')
    bad = tmp_path / 'bad.mcap'
    bad.write_bytes(b'no bag')
    status, report, errors = replay(bad, good, *TRUTH)
    assert status == IN_PART
    assert report['frames']['evaluated'] == 12
    assert str(bad) in lines(errors)[0]


def test_a_report_that_stands_stays_whole(drive, replay, tmp_path):
    folder = tmp_path / 'report'
    assert replay(drive(), *TRUTH, '--report', folder)[0] == 0
    before = (folder / 'report.html').read_bytes()
    shutil.rmtree(tmp_path / 'drive')
    assert replay(tmp_path / 'drive', *TRUTH, '--report', folder)[0] == 1
    assert (folder / 'report.html').read_bytes() == before


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (('--limit', 0), '--limit'),
        (('--bands', '20,10'), '--bands'),
        (('--bands', 'near'), '--bands'),
        (('--workers', 0), '--workers'),
        (('--class-map', 'nope', *TRUTH), '--class-map nope'),
        (('--tolerance', -1), '--tolerance'),
        (('--resume',), '--resume'),
    ],
)
def test_impossible_options_in_one_line(drive, replay, options, expected):
    status, _, errors = replay(drive(), *options)
    assert status == 1
    (line,) = lines(errors)
    assert expected in line


def test_missing_model_in_one_line(drive, replay):
    status, _, errors = replay(drive(), '--model', Path('nope.onnx'), model=None)
    assert status == 1
    assert lines(errors) == ['error: nope.onnx: no such model file']
