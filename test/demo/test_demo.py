"""The demo as a person starts it: real server, source, node and recorder over real DDS."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
from tutorial_pages import demo_commands

COUNTS = ('published', 'superseded', 'stale', 'rejected', 'unread')


def run_demo(folder, *arguments: str, domain: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        'ROS_DOMAIN_ID': domain,
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'AMENT_PREFIX_PATH': sys.prefix,
    }
    return subprocess.run(
        [sys.executable, '-m', 'seg_node', 'demo', '-o', str(folder), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=340,
    )


def check_counts(figures: dict[str, int]) -> None:
    settled = sum(figures[f'frames_{name}'] for name in COUNTS)
    assert figures['frames_received'] == settled
    assert figures['frames_published'] >= figures['frames_recorded'] > 0


def test_a_folder_as_the_camera(tmp_path, contract_model):
    pictures = tmp_path / 'pictures'
    pictures.mkdir()
    green = np.zeros((48, 64, 3), np.uint8)
    green[24:, :, 1] = 255
    for i in range(3):
        cv2.imwrite(str(pictures / f'{i}.png'), green)
    out = tmp_path / 'out'
    done = run_demo(
        out, '--input', str(pictures), '--frames', '6', '--model', str(contract_model), domain='31'
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((out / 'demo.json').read_text())
    check_counts(figures)
    assert figures['frames_recorded'] == 6
    assert set(figures['stages_ms']) == {'decode', 'preprocess', 'infer', 'postprocess', 'publish'}
    assert figures['latency_ms']['p50'] <= figures['latency_ms']['p99']
    assert (out / 'overlay.mp4').stat().st_size > 500
    assert (out / 'drive.mcap').stat().st_size > 500


def test_a_folder_that_is_not_an_earlier_output_is_left_alone(tmp_path):
    (tmp_path / 'thesis.txt').write_text('years of work')
    done = run_demo(tmp_path, domain='32')
    assert done.returncode == 1
    assert 'has files' in done.stderr
    assert (tmp_path / 'thesis.txt').is_file()


def test_a_source_that_cannot_start_is_named(tmp_path):
    done = run_demo(tmp_path / 'out', '--input', str(tmp_path / 'no_such.mp4'), domain='33')
    assert done.returncode == 1
    assert 'no_such.mp4: no such file' in done.stderr
    assert 'Traceback' not in done.stderr


# In a fresh clone the renderer is compiled first.
@pytest.mark.timeout(360)
def test_the_embedded_town(tmp_path):
    """As the tutorial of CARLA starts it."""
    pytest.importorskip('carla')
    out = tmp_path / 'out'
    (words,) = demo_commands('carla')
    assert words[-2] == '-o'
    done = run_demo(out, *words[words.index('demo') + 1 : -2], domain='34')
    assert done.returncode == 0, done.stderr
    figures = json.loads((out / 'demo.json').read_text())
    check_counts(figures)
    assert figures['town'] == 'Grid'
    assert figures['iou']['road'] > 0.7
    assert figures['iou']['lane_marking'] > 0.3
    assert figures['lane_map']['median_error_m'] <= 0.1
    try:
        import rerun  # noqa: F401
    except ImportError:
        assert 'no drive.rrd: rerun: not installed' in done.stdout
    else:
        # The bag holds every frame of the camera, also those that came before the first mask.
        shown = re.search(r'(\d+) frames for Rerun', done.stdout)
        assert shown and int(shown[1]) >= figures['frames_recorded'], done.stdout
        assert (out / 'drive.rrd').stat().st_size > 10_000
    for name in ('overlay.mp4', 'drive.mcap', 'lane_map.png', 'report.html'):
        assert (out / name).stat().st_size > 1000, name
