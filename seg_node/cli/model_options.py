"""Command-line options for choosing a model and how it runs; shared by the verbs."""

from __future__ import annotations

import argparse
from pathlib import Path

from seg_node.model.runner import BACKENDS, DEVICES, PRECISIONS, RunOptions, default_cache_dir


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --model, --backend, --precision, --device, --threads and --no-cache."""
    group = parser.add_argument_group('model')
    group.add_argument('--model', type=Path, help='model file (.onnx); default: the shipped one')
    group.add_argument('--backend', choices=BACKENDS, default='auto')
    group.add_argument('--precision', choices=PRECISIONS, default='int8')
    group.add_argument('--device', choices=DEVICES, default='cpu')
    group.add_argument('--threads', type=int, default=0, help='0: one a core')
    group.add_argument('--no-cache', action='store_true', help='compile the model anew')


def run_options(options: argparse.Namespace) -> RunOptions:
    """What the options ask of the model loader."""
    return RunOptions(
        backend=options.backend,
        precision=options.precision,
        device=options.device,
        threads=options.threads,
        cache_dir=None if options.no_cache else default_cache_dir(),
    )
