"""`~/lane_points`: lane-marking pixels as a PointCloud2 in the camera's optical frame."""

from __future__ import annotations

from sensor_msgs.msg import PointCloud2

from seg_node.camera.points import PointOptions, lane_points
from seg_node.errors import ConfigError
from seg_node.rgbd import lane_ids
from seg_node.ros.clouds import to_cloud
from seg_node.ros.mapping_settings import MappingSettings
from seg_node.ros.outputs.output import SetOutput
from seg_node.ros.outputs.site import CameraSite
from seg_node.ros.segmented import JoinedFrame

RANK = 70


class LanePointsOutput(SetOutput):
    """Publishes x, y, z, class and confidence of each marking pixel within range."""

    stage = 'lane_points'
    needs_range = True
    needs_scores = True

    def __init__(self, site: CameraSite, options: PointOptions) -> None:
        self._publisher = site.publisher(PointCloud2, 'lane_points')
        self._tables = site.tables
        self._options = options

    @property
    def read(self) -> bool:
        """Whether anybody subscribes."""
        return self._publisher.read

    def take(self, whole: JoinedFrame) -> None:
        """Publishes the markings' points in the camera's frame, metres."""
        rays, depth = self._tables.of(whole)
        frame = whole.frame
        points = lane_points(frame.mask, frame.planes, depth, rays, self._options)
        self._publisher.publish(to_cloud(whole.header, points))


def create(site: CameraSite) -> LanePointsOutput | None:
    """None with `lane_points.source` off, and for a model without lane markings.

    Raises `ConfigError` for lane classes that the model does not have.
    """
    settings = site.settings(MappingSettings)
    if settings.points_source == 'off':
        return None
    try:
        lanes = lane_ids(site.classes, settings.lane_classes)
    except ConfigError as error:
        if settings.lane_classes:
            raise
        site.info(f'~/lane_points is not published: {error}')
        return None
    options = PointOptions(lanes, settings.max_range_m, min_confidence=settings.min_confidence)
    return LanePointsOutput(site, options)
