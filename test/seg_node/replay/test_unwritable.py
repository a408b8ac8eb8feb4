"""Every verb that writes, where it cannot: one line with the cause, and nothing half written."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from unwritable import REASONS, as_a_user, assert_one_line_each, full_disk

from seg_node.files import write_image


@pytest.mark.parametrize('hindrance', REASONS)
def test_pictures_masks_figures_and_lines(tmp_path, contract_model, hindrance):
    picture, there = tmp_path / 'a.png', tmp_path / 'there'
    write_image(picture, np.random.default_rng(0).integers(0, 255, (32, 64, 3), np.uint8))
    segment = ['segment', picture, '--model', contract_model, '--no-cache']
    lens = ['--fov', 90, '--camera-height', 1.5, '--camera-pitch', 2]
    elsewhere = ['-o', there if hindrance is full_disk else tmp_path / 'masks']
    bench = [
        'bench',
        '--model',
        contract_model,
        '--size',
        '64x32',
        '--frames',
        3,
        '--rounds',
        1,
        '--no-cache',
    ]
    commands = {
        'masks': [*segment, '-o', there],
        'masks in a new folder': [*segment, '-o', there / 'new'],
        'overlay': [*segment, '-o', there, '--overlay', '--confidence'],
        'video': [*segment, *elsewhere, '--overlay-video', there / 'x.mp4'],
        'figures': [*segment, *elsewhere, '--json', there / 'x.json'],
        'bench': [*bench, '--json', there / 'x.json'],
    }
    for form in ('json', 'tusimple', 'openlane'):
        lines = ['--lanes', there / 'lines.json', '--lanes-format', form, *lens]
        commands[f'lines as {form}'] = [*segment, *elsewhere, *lines]
    # On a full disk the viewer's library has lines of its own beside ours.
    if importlib.util.find_spec('rerun') is not None and hindrance is as_a_user:
        view = ['view', picture, '--model', contract_model, '--no-cache']
        commands['view'] = [*view, '--save', there / 'x.rrd']
    assert_one_line_each(commands, there, hindrance)


@pytest.mark.parametrize('hindrance', REASONS)
def test_reports_of_a_drive(drive, tmp_path, contract_model, hindrance):
    there = tmp_path / 'there'
    replay = ['replay', drive(frames=3), '--ground-truth', '/camera/labels']
    replay += ['--model', contract_model, '--no-cache']
    commands = {
        'figures': [*replay, '--json', there / 'x.json'],
        'report': [*replay, '--report', there / 'report'],
        'report in a folder that is there': [*replay, '--report', there],
        'bag': [*replay, '--mcap', there / 'x.mcap'],
        'video': [*replay, '--video', there / 'x.mp4'],
        'records': [*replay, '--work-dir', there / 'work'],
    }
    if importlib.util.find_spec('rerun') is not None:
        commands['view'] = [*replay, '--rerun', there / 'x.rrd']
    assert_one_line_each(commands, there, hindrance)
