"""The verb on drives of which every figure can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

STEP = 50_000_000
T0 = 1_700_000_000 * 10**9
HEIGHT, WIDTH = 32, 64


def road(marked: bool = True) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[16:] = 1
    if marked:
        mask[16:, 30:34] = 2
    return mask


COLOURS = np.array([[90, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3', 'ros1'])
def test_perfect_masks_score_one_from_every_kind_of_bag(drive, replay, storage):
    status, report, errors = replay(drive(storage=storage), '--ground-truth', '/camera/labels')
    assert (status, errors) == (0, '')
    model = report['models'][0]
    assert report['frames']['evaluated'] == report['frames']['with_ground_truth'] == 12
    assert model['miou'] == 1.0
    assert model['lane']['iou'] == 1.0
    assert model['flicker'] == {'changed': 0.0, 'flipped': 0.0}


def test_counts_of_a_known_mistake(drive, replay):
    """8 of 64 columns of the road are labelled background: 8 x 16 false road pixels a frame."""
    _, report, _ = replay(drive(frames=1, wrong=8), '--ground-truth', '/camera/labels')
    model = report['models'][0]
    marked = 12 * 6
    road_hit = 16 * 64 - marked - 8 * 16
    assert model['confusion'] == [
        [16 * 64, 8 * 16, 0],
        [0, road_hit, 0],
        [0, 0, marked],
    ]
    assert model['classes']['road']['iou'] == pytest.approx(road_hit / (road_hit + 128), abs=1e-6)
    assert model['classes']['road']['recall'] == 1.0
    assert model['classes']['background']['precision'] == 1.0


def test_pixels_without_a_label_count_nowhere(bag_writer, replay):
    mask = road()
    label = mask.copy()
    label[:, :20] = 255
    label[0, 40] = 2
    bag_writer.add('/camera/image', COLOURS[mask], 'bgr8', T0)
    bag_writer.add('/camera/labels', label, 'mono8', T0)
    _, report, _ = replay(bag_writer.write('b'), '--ground-truth', '/camera/labels')
    confusion = np.array(report['models'][0]['confusion'])
    assert confusion.sum() == HEIGHT * (WIDTH - 20)
    assert confusion[2, 0] == 1


def test_lane_tolerance_has_its_own_name_and_forgives_so_many_pixels(bag_writer, replay):
    mask = road()
    label = road(marked=False)
    label[16:, 32:36] = 2  # two pixels to the right of what the model finds
    bag_writer.add('/camera/image', COLOURS[mask], 'bgr8', T0)
    bag_writer.add('/camera/labels', label, 'mono8', T0)
    bag = bag_writer.write('b')

    def lane(tolerance: int) -> dict:
        truth = ('--ground-truth', '/camera/labels', '--tolerance', tolerance)
        return replay(bag, *truth)[1]['models'][0]['lane']

    assert lane(2) | {'iou_interval': None} == {
        'name': 'lane_iou_within_2px',
        'tolerance_px': 2,
        'iou': 1.0,
        'precision': 1.0,
        'recall': 1.0,
        'labelled_pixels': 64,
        'iou_interval': None,
    }
    assert lane(1)['iou'] == pytest.approx(48 / 80)
    assert lane(0)['iou'] == pytest.approx(32 / 96, abs=1e-6)


def test_flicker_counts_there_and_back_only_as_a_flip(bag_writer, replay):
    """Of frames A B A A the change A-B-A flips; B lasting would only change."""
    first, second = road(), road(marked=False)
    for index, mask in enumerate((first, second, first, first)):
        bag_writer.add('/camera/image', COLOURS[mask], 'bgr8', T0 + index * STEP)
    _, report, _ = replay(bag_writer.write('b'))
    pixels, marking = HEIGHT * WIDTH, 16 * 4
    flicker = report['models'][0]['flicker']
    assert flicker['changed'] == pytest.approx(2 * marking / (3 * pixels), abs=1e-6)
    # B is undone at the third frame; at the fourth nothing came back.
    assert flicker['flipped'] == pytest.approx(marking / (2 * pixels), abs=1e-6)
    assert report['models'][0]['area']['road'] == pytest.approx(
        (4 * 1024 - 3 * marking) / (4 * pixels), abs=1e-6
    )


def test_distance_bands_from_depth(bag_writer, replay):
    mask = road()
    label = mask.copy()
    label[16:20] = 0  # wrong far away only
    depth = np.full((HEIGHT, WIDTH), 5.0, np.float32)
    depth[16:20] = 30.0
    depth[:16] = 0.0
    bag_writer.add('/camera/image', COLOURS[mask], 'bgr8', T0)
    bag_writer.add('/camera/depth', depth, '32FC1', T0, T0 + 3000)
    bag_writer.add('/camera/labels', label, 'mono8', T0, T0 + 2000)
    bag = bag_writer.write('b')
    _, report, _ = replay(bag, '--ground-truth', '/camera/labels')
    bands = report['models'][0]['by_distance']
    assert report['protocol']['drives'][0]['distance'] == 'depth /camera/depth'
    assert bands['0-10 m']['classes']['road']['iou'] == 1.0
    assert bands['20-40 m']['classes']['road']['iou'] == 0.0
    assert bands['10-20 m']['miou'] is None
    assert bands['unknown']['classes']['background']['pixels'] == 16 * 64


def test_road_only_labels_count_markings_as_road(bag_writer, replay):
    mask = road()
    label = np.where(mask > 0, 7, 23).astype(np.uint8)  # Cityscapes: road 7, no marking
    bag_writer.add('/camera/image', COLOURS[mask], 'bgr8', T0)
    bag_writer.add('/camera/labels', label, 'mono8', T0)
    truth = ('--ground-truth', '/camera/labels', '--class-map', 'cityscapes')
    _, report, _ = replay(bag_writer.write('b'), *truth)
    assert report['protocol']['classes'] == ['background', 'road']
    assert report['protocol']['scored'].startswith('road only')
    assert report['models'][0]['classes']['road']['iou'] == 1.0
    assert 'lane' not in report['models'][0]


def test_two_models_are_compared_on_the_same_frames(drive, replay, make_contract_model, tmp_path):
    """The first model finds no paint, the second finds all of it."""
    other = make_contract_model(tmp_path / 'blind.onnx', thresholds=(128, 255))
    bag = drive(frames=30)
    status, report, _ = replay(bag, '--ground-truth', '/camera/labels', '--model', other)
    assert status == 0
    assert [model['label'] for model in report['models']] == ['blind', 'green_red']
    (found,) = report['comparisons']
    assert (found['model'], found['against']) == ('green_red', 'blind')
    first, second = report['models']
    difference = found['figures']['miou']
    assert difference['difference'] == pytest.approx(second['miou'] - first['miou'], abs=2e-6)
    low, high = difference['interval']
    assert 0.2 < low <= difference['difference'] <= high
    assert (found['frames_better'], found['frames_worse']) == (30, 0)
    assert first['lane']['recall'] == 0.0 and second['lane']['recall'] == 1.0


def label_folder(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for index, name in enumerate(names):
        label = road()
        label[:, :index] = 255
        cv2.imwrite(str(folder / f'{name}.png'), label)
    return folder


@pytest.mark.parametrize(
    'names',
    [
        [str(T0 + i * STEP) for i in range(4)],
        [f'{(T0 + i * STEP) // 10**9}.{(T0 + i * STEP) % 10**9:09d}' for i in range(4)],
        [f'label_{i:06d}' for i in range(4)],
    ],
    ids=['nanoseconds', 'seconds.nanoseconds', 'frame number'],
)
def test_labels_from_a_folder_by_stamp_or_number(bag_writer, replay, tmp_path, names):
    """Each label hides other columns, so a label of another frame would show in the pixels."""
    for index in range(4):
        bag_writer.add('/camera/image', COLOURS[road()], 'bgr8', T0 + index * STEP)
    folder = label_folder(tmp_path / 'labels', names)
    status, report, errors = replay(bag_writer.write('b'), '--ground-truth', folder)
    assert (status, errors) == (0, '')
    assert report['frames']['with_ground_truth'] == 4
    assert np.sum(report['models'][0]['confusion']) == HEIGHT * (4 * WIDTH - (0 + 1 + 2 + 3))
    assert report['models'][0]['miou'] == 1.0


def test_all_cameras_of_a_rig_in_one_run(bag_writer, replay):
    """Each with its own labels; those of the left camera are wrong in eight columns."""
    for index in range(6):
        stamp = T0 + index * STEP
        for side, wrong in (('left', 8), ('front', 0)):
            label = road()
            label[:, :wrong] = 0
            bag_writer.add(f'/rig/rgb_{side}/image', COLOURS[road()], 'bgr8', stamp)
            bag_writer.add(f'/rig/semantic_{side}/image', label, 'mono8', stamp, stamp + 1000)
    status, report, _ = replay(
        bag_writer.write('rig'), '--topic', '/rig/rgb_*/image', '--ground-truth',
        '/rig/semantic_*/image',
    )  # fmt: skip
    assert status == 0
    drives = {drive['camera']: drive['ground_truth'] for drive in report['protocol']['drives']}
    assert drives == {f'/rig/rgb_{s}/image': f'/rig/semantic_{s}/image' for s in ('front', 'left')}
    assert report['frames']['evaluated'] == report['frames']['with_ground_truth'] == 12


def test_a_pattern_of_topics_that_cannot_be_is_one_line(drive, replay):
    bag = drive()
    for arguments, words in (
        (('--topic', '/rig/*/image'), 'expected camera topics /rig/*/image, found /camera/'),
        (('--topic', '/*/*'), 'expected one *'),
        (('--ground-truth', '/camera/*'), 'expected a --topic with a * as well'),
    ):
        status, _, said = replay(bag, *arguments)
        assert status == 1 and words in said
