"""The camera of a bag is found by what the pictures are, and every verb finds the same."""

from __future__ import annotations

import pytest

from seg_node.bags.bag import Bag
from seg_node.bags.camera import choose_camera, choose_depth, decode_image
from seg_node.errors import FrameError, InputError
from seg_node.lane_map.from_bag import map_topics
from seg_node.replay.plan import ReplayRequest, make_plan
from seg_node.sources import BagSource

# The camera, and the topics of the bag: name, kind of picture, and a count where it matters.
BAGS = {
    'a mask': ('/zed/left/image_rect', '/seg_node/mask mask', '/zed/left/image_rect colour'),
    'a mask by its pixels': ('/zed/left/image_rect', '/a/image mask', '/zed/left/image_rect grey'),
    'an overlay': ('/zed/image', '/seg_node/overlay colour', '/zed/image colour'),
    'our own RGB-D': ('/z/image', '/seg_node/rgbd/rgb/image colour', '/z/image colour'),
    'disparity': ('/front/image', '/cam/disparity grey', '/front/image colour'),
    'depth without the word': ('/z/image', '/oak/stereo/image_raw depth', '/z/image grey'),
    'metres': ('/z/image', '/a/image metres', '/z/image colour'),
    'an event camera': ('/h/rgb/image', '/h/dvs_front/image colour', '/h/rgb/image colour'),
    'raw tags': ('/z/image', '/a/image tags', '/z/image colour'),
    'seg is a part of segway': ('/front/segway/image', '/front/segway/image colour'),
    'alone, though its name has ir': ('/aux/ir/image', '/aux/ir/image grey'),
    'a road is ahead': ('/c/rgb_front/i', '/c/rgb_back/i colour', '/c/rgb_front/i colour'),
    'a depth camera': ('/depth_cam/rgb/i', '/depth_cam/depth/i depth', '/depth_cam/rgb/i colour'),
    'many beside few': ('/z/image', '/a/image colour 1', '/z/image colour 20'),
}


@pytest.mark.parametrize('name', BAGS)
@pytest.mark.parametrize('storage', ['mcap', 'sqlite'])
def test_every_verb_finds_the_camera(make, tmp_path, name, storage):
    camera, *words = BAGS[name]
    topics = [line.split() for line in words]
    sent = [make.pictures(topic, kind, *map(int, count)) for topic, kind, *count in topics]
    # Who has a camera_info is found by all; it alone does not make a depth image a camera.
    sent += [make.infos(f'{topic.rpartition("/")[0]}/camera_info') for topic, *_ in topics]
    path = getattr(make, storage)(tmp_path / 'drive.mcap', *sent)
    with Bag(path) as bag:
        choice = choose_camera(bag)
        assert choice.topic.name == camera
        assert choice.info == f'{camera.rpartition("/")[0]}/camera_info'
        assert camera in str(choice) and '\n' not in str(choice)
    assert BagSource(path).camera.topic.name == camera
    assert [drive.camera for drive in make_plan(ReplayRequest((path,))).drives] == [camera]
    odometry = make.Sent('/odom', (), 'nav_msgs/msg/Odometry', text='')
    path = make.mcap(tmp_path / 'with_odometry.mcap', *sent, odometry)
    with Bag(path) as bag:
        assert map_topics(bag, odometry='/odom').image == camera


@pytest.mark.parametrize(('topic', 'kind'), [('/a/depth', 'depth'), ('/a/image', 'metres'),
                                             ('/a/mask', 'mask'), ('/a/disparity', 'grey'),
                                             ('/a/overlay', 'colour')])  # fmt: skip
def test_a_bag_without_a_camera_is_one_line_and_the_topic_can_be_forced(
    make, tmp_path, topic, kind
):
    path = make.mcap(tmp_path / 'a.mcap', make.pictures(topic, kind))
    with Bag(path) as bag:
        with pytest.raises(InputError, match=f'expected a camera, found only {topic} .*--topic'):
            choose_camera(bag)
        assert choose_camera(bag, topic).topic.name == topic
        with pytest.raises(InputError, match=f'expected camera topic /no, found {topic}'):
            choose_camera(bag, '/no')


def test_other_encodings_are_named(make, tmp_path):
    sent = make.Sent('/cam', (b'\1',), 'foxglove.CompressedImage', 'protobuf', 'protobuf', '')
    with (
        Bag(make.mcap(tmp_path / 'a.mcap', sent)) as bag,
        pytest.raises(InputError, match=r'found /cam \(foxglove.CompressedImage, protobuf\)'),
    ):
        choose_camera(bag)


def test_a_message_that_is_no_picture_on_the_cameras_topic_is_one_bad_frame(make, tmp_path):
    """Two channels of one name, as damage to a bag makes them."""
    path = make.mcap(tmp_path / 'a.mcap', make.pictures('/cam'), make.infos('/cam'))
    told: list[str] = []
    kinds: list[str] = []
    with Bag(path) as bag:
        for message in bag.messages(['/cam']):
            kinds.append(message.type)
            try:
                decode_image(bag, message)
            except FrameError as error:
                told.append(str(error))
    assert kinds.count('sensor_msgs/msg/CameraInfo') == len(told) == 1
    assert told == ['expected a picture, got a sensor_msgs/msg/CameraInfo']


def test_what_cannot_be_told_apart_is_named(make, tmp_path):
    path = make.mcap(tmp_path / 'a.mcap', *(make.pictures(f'/{s}/image') for s in 'cab'))
    with Bag(path) as bag:
        choice = choose_camera(bag)
    assert (choice.topic.name, choice.others) == ('/a/image', ('/b/image', '/c/image'))
    assert 'as likely: /b/image, /c/image (--topic takes another)' in str(choice)


def test_the_depth_of_a_camera_is_the_nearest_by_name(make, tmp_path):
    sent = [
        make.pictures('/front/color/image'),
        make.pictures('/rear/depth/image', 'depth'),
        make.pictures('/front/depth/image', 'depth'),
        make.pictures('/front/disparity/image', 'metres'),
    ]
    with Bag(make.mcap(tmp_path / 'a.mcap', *sent)) as bag:
        assert choose_depth(bag, '/front/color/image') == '/front/depth/image'
        assert choose_depth(bag, '/front/depth/image') == '/rear/depth/image'


def test_the_depth_of_a_rigs_camera_is_on_its_side(make, tmp_path):
    sides = ('front', 'left', 'right')
    sent = [make.pictures(f'/carla/ego/rgb_{side}/image') for side in sides]
    sent += [make.pictures(f'/carla/ego/depth_{side}/image', 'depth') for side in sides]
    with Bag(make.mcap(tmp_path / 'a.mcap', *sent)) as bag:
        for side in sides:
            depth = choose_depth(bag, f'/carla/ego/rgb_{side}/image')
            assert depth == f'/carla/ego/depth_{side}/image'
