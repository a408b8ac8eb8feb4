"""One benchmark case in a process of its own, so that start-up and memory are its own too.

Run by `seg_node.cli.bench` as `python -m seg_node.benchmark.case '<json>'`; prints one JSON line.
Only what the runtime itself needs is imported.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from seg_node.benchmark.scene import road_scene
from seg_node.camera.size import Size
from seg_node.child_answers import answer
from seg_node.images.frames import Frame
from seg_node.model.loader import load_model
from seg_node.model.runner import RunOptions
from seg_node.pipeline import Segmenter
from seg_node.timing import Stopwatch


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Cold start (s, from the process's creation to the first mask), memory (MB), stage times.

    `case`: model, backend, precision, threads, device, cache_dir, width, height, frames.
    """
    options = RunOptions(
        backend=case['backend'],
        precision=case['precision'],
        device=case['device'],
        threads=case['threads'],
        cache_dir=Path(case['cache_dir']) if case['cache_dir'] else None,
    )
    loaded = load_model(case['model'], options)
    segmenter = Segmenter(loaded.runner)
    drawing = time.perf_counter()
    frame = Frame(road_scene(Size(case['width'], case['height'])), 'bgr')
    drawn_s = time.perf_counter() - drawing  # a camera does that
    segmenter(frame)
    first_mask = time.time()
    import psutil  # the measurement's, not the runtime's

    process = psutil.Process()
    cold_start_s = first_mask - process.create_time() - drawn_s
    for _ in range(10):
        segmenter(frame)
    laps = []
    for _ in range(case['frames']):
        watch = Stopwatch()
        segmenter(frame, watch)
        laps.append(dict(watch.stages))
    runner = loaded.runner
    return {
        'model': runner.spec.name,
        'backend': runner.backend,
        'precision': runner.precision,
        'threads': runner.threads,
        'network_size': str(runner.network),
        'cold_start_s': cold_start_s,
        'rss_mb': process.memory_info().rss / 1e6,
        'laps': laps,
    }


if __name__ == '__main__':
    sys.exit(answer(measure))
