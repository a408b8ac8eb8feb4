"""Publish a picture, folder, video or bag as a ROS camera: image and camera_info.

Topics are `image` and `camera_info` in --namespace; messages carry the time of sending.
"""

from __future__ import annotations

import argparse

from seg_node.ros_process import require_rclpy, ros_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('input', help='picture, folder, video or bag')
    parser.add_argument('--topic', help='camera topic of a bag; default: by what the pictures are')
    parser.add_argument('--rate', type=float, help="pictures a second; default: the source's")
    parser.add_argument('--loop', action='store_true', help='start again at the end')
    parser.add_argument('--resize', metavar='WxH', help='publish at this size')
    parser.add_argument('--namespace', default='', help='namespace of the topics, e.g. /camera')
    parser.add_argument('--frame-id', default='camera_optical_frame')
    parser.add_argument('--fov', type=float, help='horizontal field of view in degrees')
    parser.add_argument('--compressed', action='store_true', help='JPEG on image/compressed')
    parser.add_argument('--subscribers', type=int, help='wait for so many before the first')


def run(options: argparse.Namespace) -> int:
    """Publish until the end, or until Ctrl-C."""
    require_rclpy()
    from seg_node.ros.play_node import main

    arguments = ros_arguments(
        {
            'input': options.input,
            'topic': options.topic,
            'rate': options.rate,
            'loop': options.loop,
            'resize': options.resize,
            'frame_id': options.frame_id,
            'fov_deg': options.fov,
            'compressed': options.compressed,
            'subscribers': options.subscribers,
        }
    )
    if options.namespace:
        arguments += ['-r', f'__ns:={options.namespace}']
    return main(arguments)
