"""`~/points`: every pixel of the mask in 3-D, as nav2's semantic segmentation layer takes them."""

from __future__ import annotations

from sensor_msgs.msg import PointCloud2

from seg_node.camera.points import aligned_points
from seg_node.ros.clouds import to_organised_cloud
from seg_node.ros.mapping_settings import MappingSettings
from seg_node.ros.outputs.output import SetOutput
from seg_node.ros.outputs.site import CameraSite
from seg_node.ros.segmented import JoinedFrame

RANK = 80


class AlignedPointsOutput(SetOutput):
    """Publishes an organised cloud: row and column are the mask's, NaN where range is unknown."""

    stage = 'aligned_points'
    needs_range = True

    def __init__(self, site: CameraSite, max_range_m: float) -> None:
        self._publisher = site.placed_publisher(PointCloud2, 'points')
        self._tables = site.tables
        self._max_range_m = max_range_m

    @property
    def read(self) -> bool:
        """Whether anybody subscribes."""
        return self._publisher.read

    def take(self, whole: JoinedFrame) -> None:
        """Publishes x, y, z in metres for every pixel of the mask."""
        rays, depth = self._tables.of(whole)
        points = aligned_points(whole.frame.mask.shape, depth, rays, self._max_range_m)
        self._publisher.publish(to_organised_cloud(whole.header, points))


def create(site: CameraSite) -> AlignedPointsOutput | None:
    """None with `lane_points.source` off."""
    settings = site.settings(MappingSettings)
    if settings.points_source == 'off':
        return None
    return AlignedPointsOutput(site, settings.max_range_m)
