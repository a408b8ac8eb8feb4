"""Say what is wrong with this machine, or with the ROS graph around a camera topic.

Without --topic only the machine is looked at. Exit status 1 when something is an error.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from seg_node.doctor.packages import check_packages
from seg_node.finding import Finding
from seg_node.prerequisites import array_problem
from seg_node.ros_process import require_rclpy

_COLOURS = {'ok': 'green', 'note': 'cyan', 'warning': 'yellow', 'error': 'red'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--topic', metavar='IMAGE', help='image topic to look at')
    parser.add_argument('--seconds', type=float, default=3.0, help='how long to listen')
    parser.add_argument('--model', type=Path, help='model file to try; default: the shipped one')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the findings')


def run(options: argparse.Namespace) -> int:
    """Print one line a finding; 1 when there is an error among them."""
    console = Console(soft_wrap=True, highlight=False)
    findings: list[Finding] = []

    def show(finding: Finding) -> None:
        findings.append(finding)
        colour = _COLOURS[finding.level]
        advice = f'  → {finding.advice}' if finding.advice else ''
        console.print(f'[{colour}]{finding.level:7}[/] {finding.what}: ', end='')
        console.print(f'{finding.message}{advice}', markup=False)

    for finding in check_packages():
        show(finding)
    if array_problem():  # then nothing of what follows can be imported
        return _end(options, findings)
    from seg_node.doctor.machine import check_machine

    for finding in check_machine(options.model):
        show(finding)
    if options.topic:
        require_rclpy()
        from seg_node.ros.doctor_graph import check_graph

        for finding in check_graph(options.topic, options.seconds):
            show(finding)
    return _end(options, findings)


def _end(options: argparse.Namespace, findings: Sequence[Finding]) -> int:
    if options.json:
        from seg_node.files import write_json  # numpy and OpenCV

        write_json(options.json, [vars(finding) for finding in findings])
    return 1 if any(finding.level == 'error' for finding in findings) else 0
