"""The script of docs/growth.md, on little work."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / 'scripts' / 'growth_figures.py'
PROBED = {
    'cameras': 2, 'frames_per_s': 30.0, 'memory_mb': 200.0, 'frames_received': 60,
    'frames_published': 58, 'frames_superseded': 2, 'unaccounted': 0, 'age_p99_ms': 80.0,
}  # fmt: skip


@pytest.fixture
def script(monkeypatch):
    spec = importlib.util.spec_from_file_location('growth_figures', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_bags_and_maps_are_measured_and_the_page_is_written(script, monkeypatch, tmp_path):
    monkeypatch.setattr(script, 'BAG_FRAMES', (4, 8))
    monkeypatch.setattr(script, 'KILOMETRES', (0.02,))
    sizes = [
        {
            'source_size': size,
            'threads': threads,
            'total_ms': {'p50': 4.0 * threads, 'p99': 5.0},
            'not_network_ms': {'p50': 0.5},
        }
        for size in script.SIZES
        for threads in script.THREADS
    ]
    page, record = tmp_path / 'growth.md', tmp_path / 'growth.json'
    page.write_text(f'# Title\n\n{script.BEGIN}\nold\n{script.END}\n\nafter\n')
    record.write_text(json.dumps({'cameras': [PROBED], 'sizes': sizes}))
    words = ['x', '--only', 'bags', 'map', '--machine', 'this one']
    words += ['--json', str(record), '--page', str(page)]
    monkeypatch.setattr(sys, 'argv', words)
    assert script.main() == 0
    figures = json.loads(record.read_text())
    assert [bag['frames'] for bag in figures['bags']] == [4, 8]
    assert all(bag['peak_mb'] > 20 and bag['seconds'] > 0 for bag in figures['bags'])
    assert figures['map'][0]['frames'] == 5
    text = page.read_text()
    assert text.startswith('# Title')
    assert text.endswith('after\n')
    assert 'old' not in text
    assert '| 2 | 30 | 200 | 60 | 58 | 2 | 0 | 80 |' in text
    assert '| (line) | 100 |' in text
    assert '| 3840x2160 | 4.0 / 5.0 | 0.50 | 8.0 / 5.0 | 0.50 | 1.00 |' in text
