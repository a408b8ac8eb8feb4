"""`python -m seg_node doctor`, the verb itself, on machines with little and much shared memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from seg_node.children import child_environment
from seg_node.cli import main

MIB = 1 << 20
LEVELS = {20: 'error', 64: 'warning', 200: 'warning', 2000: 'ok'}


@pytest.fixture
def doctor(contract_model, tmp_path, monkeypatch, capsys):
    """Runs the verb; gives its exit status, what it printed, and its findings by name."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))

    def run(*arguments: object) -> tuple[int, str, dict[str, dict[str, str]]]:
        path = tmp_path / 'findings.json'
        options = ['--model', str(contract_model), '--json', str(path), *map(str, arguments)]
        status = main(['doctor', *options])
        findings = json.loads(path.read_text())
        return status, capsys.readouterr().out, {f['what']: f for f in findings}

    return run


@pytest.mark.parametrize('free', sorted(LEVELS))
def test_every_container_gets_an_answer(doctor, monkeypatch, free):
    """64 MiB are every default container's; the verb died there with UnboundLocalError."""
    real = shutil.disk_usage

    def usage(path: object) -> object:
        return SimpleNamespace(free=free * MIB) if str(path) == '/dev/shm' else real(path)

    monkeypatch.setattr(shutil, 'disk_usage', usage)
    status, printed, findings = doctor()
    memory = findings['shared memory']
    assert memory['level'] == LEVELS[free]
    assert f'{free} MiB free in /dev/shm' in memory['message']
    assert ('--shm-size' in memory['advice']) == (free < 512)
    assert status == (1 if free < 48 else 0)
    assert f'{free} MiB free' in printed
    assert {'packages', 'CPU', 'DDS', 'ROS 2', 'cv_bridge', 'model'} <= set(findings)
    assert findings['model']['level'] == 'ok'


def test_a_model_that_cannot_be_loaded_is_a_finding(doctor, tmp_path):
    status, printed, findings = doctor('--model', tmp_path / 'none.onnx')
    assert status == 1
    assert findings['model']['level'] == 'error'
    assert 'no such model file' in printed


@pytest.mark.parametrize('size', [64, 200])
def test_a_small_dev_shm_of_its_own(contract_model, tmp_path, size):
    """The same with the file system itself that small, where that is allowed."""
    mount = f'mount -t tmpfs -o size={size}m tmpfs /dev/shm'
    can = shutil.which('unshare') and os.geteuid() == 0
    if not can or subprocess.run(['unshare', '-m', 'sh', '-c', mount], check=False).returncode:
        pytest.skip('needs root and mount namespaces')
    path = tmp_path / 'findings.json'
    command = f'{sys.executable} -m seg_node doctor --model {contract_model} --json {path}'
    done = subprocess.run(
        ['unshare', '-m', 'sh', '-c', f'{mount} && exec {command}'],
        capture_output=True, text=True, check=False,
        env=child_environment(XDG_CACHE_HOME=str(tmp_path)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    findings = {f['what']: f for f in json.loads(Path(path).read_text())}
    assert findings['shared memory']['message'].startswith(f'{size} MiB free')
