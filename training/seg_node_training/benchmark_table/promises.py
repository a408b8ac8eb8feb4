"""The figures that were promised, beside what this run found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seg_node_training.benchmark_table.cases import DEFAULT, title
from seg_node_training.benchmark_table.plan import CAMERA, PREDECESSOR, RECIPES

TEAM1 = (512, 256)
LANES = 'lane_marking'


@dataclass(frozen=True)
class Promise:
    """One promised figure. `why`: what is said where it is not reached."""

    what: str
    promised: str
    measured: str
    reached: bool
    why: str = 'not reached'


def promises(result: Mapping[str, Any]) -> list[Promise]:
    """Those whose cases were measured."""
    by_name = {r['name']: r for r in result['lines']}

    def ratio(slow: str, fast: str) -> float:
        """Of the two, each against the default that ran beside it."""
        return float(by_name[slow]['times_default'] / by_name[fast]['times_default'])

    def team1(precision: str, runtime: str) -> str:
        return title(PREDECESSOR, precision, runtime, TEAM1)

    figures = []
    for build in (_against_torch, _camera, _classes, _one_file):
        try:
            figures += build(result, by_name, ratio, team1)
        except KeyError:  # a case of it was not measured in this run
            continue
    return figures


def _against_torch(result: Any, by_name: Any, ratio: Any, team1: Any) -> list[Promise]:
    ours = team1('int8', 'openvino')
    eager, static = team1('fp32', 'torch'), team1('int8', 'torchscript')
    over = ratio(eager, ours)
    beside = ratio(static, ours)
    size = (by_name[team1('fp32', 'openvino')]['file_mb'], by_name[ours]['file_mb'])
    return [
        Promise(
            "the predecessor's own U-Net (31 M, 512x256), our int8 against PyTorch fp32 eager",
            '≥ 7×',
            f'{over:.1f}×',
            over >= 7,
        ),
        Promise('the same against PyTorch static int8', '≥ 1×', f'{beside:.2f}×', beside >= 1),
        Promise('its file', '124 → ≤ 32 MB', f'{size[0]:.0f} → {size[1]:.1f} MB', size[1] <= 32),
    ]


def _camera(result: Any, by_name: Any, ratio: Any, team1: Any) -> list[Promise]:
    ours = title('light_unet camera to mask', 'int8 openvino', 'camera', CAMERA)
    theirs = title(f'{PREDECESSOR} camera to mask', 'int8 torch', 'camera_torch', CAMERA)
    times = ratio(theirs, ours)
    small = result['scores'][f'light_unet {by_name[DEFAULT]["size"]}']['int8']
    large = result['scores'][f'{PREDECESSOR} {TEAM1[0]}x{TEAM1[1]}']['torch_int8']
    shared = [k for k in small if k.endswith(LANES) and k in large]
    learnt = max(large[k] for k in shared) > 0.1
    text = ', '.join(f'{k.split("/")[0]} {large[k]:.3f} → {small[k]:.3f}' for k in shared)
    return [
        Promise(
            "shipped default, camera to mask, against the predecessor's int8 network in PyTorch",
            '≥ 40×',
            f'{times:.0f}×',
            times >= 40,
        ),
        Promise(
            'lane IoU of the two on the same data (the predecessor’s network had a run of minutes '
            'only)',
            'higher',
            text,
            learnt and all(small[k] > large[k] for k in shared),
            'higher, but no fair comparison: it had learnt nothing yet',
        ),
    ]


def _classes(result: Any, by_name: Any, ratio: Any, team1: Any) -> list[Promise]:
    worst: dict[str, float] = {}
    for name, kinds in result['scores'].items():
        model = name.split()[0]
        if model in ('light_unet', *RECIPES) and 'int8' in kinds:
            fp32 = kinds['fp32']
            lost = max(100 * (v - kinds['int8'].get(k, 0.0)) for k, v in fp32.items())
            worst[model] = max(lost, worst.get(model, -100.0))
    text = ', '.join(f'{k} {v:.2f}' for k, v in worst.items())
    return [
        Promise(
            'int8 against fp32, largest loss of any class, points, by recipe',
            '≤ 0.5',
            text,
            max(worst.values()) <= 0.5,
        )
    ]


def _one_file(result: Any, by_name: Any, ratio: Any, team1: Any) -> list[Promise]:
    figures = []
    for model, size in (('light_unet', (512, 288)), (PREDECESSOR, TEAM1)):
        int8 = title(model, 'int8', 'openvino', size)
        nncf = title(model, 'int8 NNCF IR', 'openvino', size)
        ort32 = title(model, 'fp32', 'onnxruntime', size)
        ort8 = title(model, 'int8', 'onnxruntime', size)
        over, faster = ratio(int8, nncf), ratio(ort32, ort8)
        figures += [
            Promise(
                f'{model}: the one QDQ file in OpenVINO, time over that of NNCF’s own IR',
                '≤ 1.10',
                f'{over:.2f}',
                over <= 1.10,
            ),
            Promise(
                f'{model}: the same file in ONNX Runtime against its fp32',
                '≥ 1.7×',
                f'{faster:.2f}×',
                faster >= 1.7,
            ),
        ]
    return figures
