"""The newcomer's way, at the smallest size: capture, train, export, and the node's own code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import yaml

from seg_node.cli import main as seg_node_main
from seg_node_training.config import load_recipe
from seg_node_training.export import cli as export
from seg_node_training.train import cli as train

REPOSITORY = Path(__file__).resolve().parents[2]


def test_from_a_capture_to_masks(tmp_path, monkeypatch):
    pytest.importorskip('carla')
    capture = tmp_path / 'capture'
    words = ['sim', 'capture', '-o', str(capture), '--frames', '6', '--frames-per-drive', '2']
    words += ['--town', 'Parking', '--traffic', '0', '--size', '160x96', '--val', '0.34']
    done = subprocess.run(
        [sys.executable, '-m', 'seg_node', *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]

    # The shipped recipe; smaller, and in this test's folder.
    raw = load_recipe('capture').model_dump(mode='json')
    raw['data'] |= {'root': str(capture), 'cache': str(tmp_path / 'cache')}
    raw['data'] |= {'cache_height': 96, 'cache_width': 160}
    raw['model']['options'] = {'base': 4, 'depth': 2, 'stem': 4}
    raw['input'] |= {'height': 96, 'width': 160}
    raw['transforms'][0]['window'] = {'height': 96, 'width': 160}
    raw['loop'] |= {'steps': 4, 'steps_per_epoch': 2, 'batch_size': 2, 'evaluate_every': 2}
    config = tmp_path / 'capture.yaml'
    config.write_text(yaml.safe_dump(raw))

    def command(module: ModuleType, *words: object) -> int:
        monkeypatch.setattr(sys, 'argv', [module.__name__, *map(str, words)])
        return module.main()

    run, model = tmp_path / 'run', tmp_path / 'lane_fp32.onnx'
    assert command(train, 'F', '--config', config, '--out', run) == 0
    assert command(export, run, '-o', model) == 0

    masks = tmp_path / 'masks'
    given = ['segment', str(capture / 'images'), '-o', str(masks), '--model', str(model)]
    assert seg_node_main(given) == 0
    found = sorted(masks.rglob('*.png'))
    assert len(found) == 6
    mask = cv2.imread(str(found[0]), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (96, 160)
    assert set(np.unique(mask)) <= {0, 1, 2}
