"""Sweeps: the shipped ones are valid; a tiny one runs, is resumed and writes its page."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
import yaml

from seg_node.errors import ConfigError
from seg_node_training.studies import sweep
from seg_node_training.studies.sweep import load_sweep

SWEEPS = sorted(sweep.SWEEPS.glob('*.yaml'))


@pytest.mark.parametrize('path', SWEEPS, ids=lambda p: p.stem)
def test_shipped_sweeps_are_valid(path):
    study = load_sweep(str(path))
    assert study.name == path.stem
    recipes = [study.recipe_of(row, 7) for row in study.rows]
    assert all(recipe.loop.seed == 7 for recipe in recipes)
    distinct = {str((r.model, r.loss, r.input)) for r in recipes}
    assert len(distinct) == len(study.rows) >= 3


def test_a_loss_replaces_the_whole_loss():
    losses = load_sweep(next(p for p in SWEEPS if p.stem == 'team1_losses'))
    terms = [losses.recipe_of(row, 1).loss.terms() for row in losses.rows]
    given = [{name: weight for name, weight in term.items() if weight} for term in terms]
    assert given == [{'bce': 1.0}, {'dice': 1.0}, {'bce': 1.0, 'dice': 1.0}]


def test_a_tiny_sweep_from_end_to_end(tmp_path, monkeypatch):
    for index in range(3):
        ids = np.zeros((32, 64), np.uint8)
        ids[14 + index :] = 1
        cv2.line(ids, (30, 16), (20 + 8 * index, 31), 2, 3)
        for kind, array in (('images', (ids * 100)[..., None].repeat(3, 2)), ('labels', ids)):
            (tmp_path / kind).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / kind / f'{index}.png'), array)
    part = {'name': 'scenes', 'path': str(tmp_path), 'knows': 'ids'}
    options = {'base': 4, 'depth': 2, 'stem': 4}
    study = {
        'name': 'tiny',
        'title': 'A tiny study',
        'about': 'Four steps.',
        'finding': 'Nothing.',
        'recipe': 'capture',
        'seeds': [1, 2],
        'set': {
            'model': {'options': options},
            'input': {'height': 32, 'width': 64},
            'data': {'train': [part], 'evaluate': [part], 'cache': str(tmp_path / 'cache')}
            | {'cache_height': 32, 'cache_width': 64},
            'transforms': [{'flip': {}}],
            'loop': {'steps': 2, 'batch_size': 2, 'steps_per_epoch': 1, 'evaluate_every': 1}
            | {'workers': 0, 'threads': 1, 'precision': '32-true'},
        },
        'test': part,
        'rows': [
            {'name': 'BCE', 'source': '0.5', 'set': {'loss': {'bce': 1}}},
            {'name': 'narrow', 'set': {'model': {'options': options | {'base': 2}}}},
        ],
    }
    path = tmp_path / 'tiny.yaml'
    path.write_text(yaml.safe_dump(study))
    docs, runs = tmp_path / 'docs', tmp_path / 'runs'
    monkeypatch.setattr(sys, 'argv', ['x', str(path), '-o', str(runs), '--docs', str(docs)])
    assert sweep.main() == 0
    page = (docs / 'tiny.md').read_text()
    assert '| BCE | 0.5 |' in page and '| narrow |' in page
    assert 'Four steps.' in page and 'Nothing.' in page
    assert cv2.imread(str(docs / 'tiny.png')).std() > 5
    assert cv2.imread(str(docs / 'tiny_pictures.jpg')).shape == (3 * 180, 3 * 320, 3)
    kept = {p: p.stat().st_mtime_ns for p in runs.rglob('*.pth')}
    assert len([p for p in kept if '_epoch' in p.name]) == 4
    assert sweep.main() == 0, 'finished runs are not repeated'
    assert kept == {p: p.stat().st_mtime_ns for p in runs.rglob('*.pth')}
    assert (docs / 'tiny.md').read_text() == page


def test_faults_of_a_sweep(tmp_path):
    path = tmp_path / 'bad.yaml'
    path.write_text('name: x\nrow: []\n')
    with pytest.raises(ConfigError, match=r'problems.*title.*rows.*row'):
        load_sweep(str(path))
    with pytest.raises(ConfigError, match='No such file'):
        load_sweep(str(tmp_path / 'none.yaml'))
