"""The topics of a drive: one camera, and what says where its pixels and the vehicle are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seg_node.bags.bag import IMAGE_TYPES, Bag
from seg_node.bags.camera import choose_camera, choose_depth
from seg_node.bags.places import ODOMETRY_TYPE
from seg_node.errors import InputError


@dataclass(frozen=True)
class DriveTopics:
    """Topics of a camera and what goes with it; '' where there is none.

    choice: the camera in words, what it is and what else it could have been.
    """

    image: str
    camera_info: str
    depth: str = ''
    odometry: str = ''
    labels: str = ''
    choice: str = ''

    @classmethod
    def find(
        cls,
        bag: Bag,
        image: str = '',
        depth: str = 'auto',
        odometry: str = '',
        labels: str = '',
        types: Sequence[str] = IMAGE_TYPES,
    ) -> DriveTopics:
        """Fill in what is not given.

        image: '' for the bag's camera, a message of `types`. depth: a topic, `auto` for the
        camera's, or `none`. odometry: '' for the first. Raises `InputError` that names what the
        bag lacks: a camera with a camera_info, or a topic that was named.
        """
        taken = [topic for topic in (depth, labels) if topic]
        camera = choose_camera(bag, image or None, taken, types)
        name = camera.topic.name
        if camera.info is None:
            raise InputError(f'{bag.path}: expected {name} with a camera_info beside it')
        if depth in ('auto', 'none'):
            depth = choose_depth(bag, name) or '' if depth == 'auto' else ''
        for what, topic in (('depth', depth), ('odometry', odometry)):
            if topic and bag.topic(topic) is None:
                raise InputError(f'{bag.path}: expected {what} on {topic}, found none')
        if not odometry:
            odometry = next((topic.name for topic in bag.of_type(ODOMETRY_TYPE)), '')
        return cls(name, camera.info, depth, odometry, labels, str(camera))

    @property
    def sides(self) -> dict[str, str]:
        """What is joined with a picture, by name."""
        sides = {'camera_info': self.camera_info, 'depth': self.depth, 'labels': self.labels}
        return {name: topic for name, topic in sides.items() if topic}
