"""What loading costs: each transform in v2 and in OpenCV, and its share of a training step.

`python -m seg_node_training.studies.loading` prints the tables and writes docs/studies/loading.md.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F
from torchvision.tv_tensors import Image, Mask

from seg_node.files import write_atomic
from seg_node_training.config import REPOSITORY, Recipe, SetPart, load_recipe
from seg_node_training.data.mixing import MixedPairs
from seg_node_training.data.transforms.build import STEPS
from seg_node_training.data.transforms.seeded import picture, transformed
from seg_node_training.train.loop import Trainer

SMALLEST = {
    'resize': {'height': 256, 'width': 448, 'policy': 'letterbox'},
    'crop': {'height': 256, 'width': 448},
    'rotation': {'degrees': 5},
    'shear': {'degrees': 5},
    'brightness': {'factor': [0.8, 1.2]},
    'contrast': {'factor': [0.8, 1.2]},
    'colour_jitter': {'brightness': 0.2, 'contrast': 0.2, 'saturation': 0.2, 'hue': 0.1},
    'flip': {'p': 1},
}


def cpu_ms(work: Callable[[], object], count: int) -> float:
    """Median CPU time of this thread in milliseconds: other processes do not count."""
    work()
    spent = []
    for _ in range(count):
        begin = time.thread_time()
        work()
        spent.append(time.thread_time() - begin)
    return 1e3 * float(np.median(spent))


def in_torchvision(image: Image, mask: Mask) -> dict[str, Callable[[], object]]:
    """The same work by v2's own functions, for the steps that use OpenCV."""
    height, width = image.shape[-2:]
    corners = [[0, 0], [447, 0], [447, 255], [0, 255]]
    source = [[20, 10], [width - 30, 0], [width - 5, height - 9], [5, height - 20]]
    linear = InterpolationMode.BILINEAR

    def warp() -> None:
        F.perspective(image, source, corners, interpolation=linear)
        F.perspective(mask, source, corners)

    def tone() -> None:
        toned = F.adjust_contrast(F.adjust_gamma(image, 1.1), 1.1)
        toned = F.adjust_saturation(F.adjust_brightness(toned, 1.1), 1.1)
        (toned * torch.tensor([1.0, 1.1, 0.9]).view(3, 1, 1)).clamp(0, 255).to(torch.uint8)

    def jitter() -> None:
        toned = F.adjust_contrast(F.adjust_brightness(image, 1.1), 1.1)
        F.adjust_hue(F.adjust_saturation(toned, 1.1), 0.05)

    return {
        'window': warp,
        'tone': tone,
        'colour_jitter': jitter,
        'blur': lambda: F.gaussian_blur(image, [5, 5], [1.0, 1.0]),
        'noise': lambda: F.gaussian_noise(image, 0.0, 0.02),
    }


def transform_table(count: int) -> list[str]:
    """Markdown: CPU ms a pair of each step at 640x360, and of v2 where OpenCV stands for it."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (36, 64, 3), np.uint8)
    array = cv2.resize(small, (640, 360), interpolation=cv2.INTER_CUBIC)
    road = np.zeros((360, 640), np.uint8)
    cv2.fillPoly(road, [np.array([[300, 150], [340, 150], [600, 359], [40, 359]])], 254)
    target = np.stack([road, np.zeros_like(road)])
    others = in_torchvision(picture(array), Mask(torch.from_numpy(target)))
    lines = ['| transform | ms a pair | v2 functions instead |', '|---|---|---|']
    for name in (name for name in STEPS if name != 'one_of'):
        chain = STEPS[name].model_validate(SMALLEST.get(name, {})).transform()

        def one(chain: torch.nn.Module = chain) -> object:
            return transformed(chain, array, target, rng)

        ours = cpu_ms(one, count)
        other = f'{cpu_ms(others[name], count):.2f}' if name in others else ''
        lines.append(f'| `{name}` | {ours:.2f} | {other} |')
    return lines


def measured_recipe(threads: int, workers: int, steps: int) -> Recipe:
    """The shipped model's recipe on rendered frames, `steps` long."""
    recipe = load_recipe('light_unet')
    part = SetPart(name='loading_bench', kind='embedded', limit=16, seed=3)
    data = recipe.data.model_copy(update={'train': (part,), 'evaluate': ()})
    changes = {'threads': threads, 'workers': workers, 'steps': steps, 'steps_per_epoch': steps}
    loop = recipe.loop.model_copy(update=changes)
    return recipe.model_copy(update={'data': data, 'loop': loop})


def step_table(threads: int, steps: int, folder: Path) -> list[str]:
    """Markdown: a light U-Net step, the preparation of its batch, and what of it is waited for."""
    trainer = Trainer(measured_recipe(threads, 1, steps), folder)
    pairs: MixedPairs = trainer.pairs()
    batch = trainer.recipe.loop.batch_size
    prepare = cpu_ms(lambda: [pairs[i] for i in range(batch)], steps)
    batch_pairs = [pairs[i] for i in range(batch)]
    images, targets = (
        torch.stack([m[0] for m in batch_pairs]),
        torch.stack([m[1] for m in batch_pairs]),
    )
    # On one thread: more of them burn time waiting for each other, which is no work.
    torch.set_num_threads(1)
    step = cpu_ms(lambda: trainer.train_step(images, targets), max(3, steps // 2))
    torch.set_num_threads(threads)
    trainer.run()
    row = trainer.history[-1]
    share = prepare / (prepare + step)
    size = 'x'.join(map(str, images.shape[:1:-1]))
    return [
        f'Light U-Net, batch {batch} at {size}, {threads} compute threads, one loader thread, '
        f'{os.cpu_count()} cores:',
        '',
        '| | |',
        '|---|---|',
        f'| CPU time of a training step on a batch that is there, one thread | {step:.0f} ms |',
        f'| CPU time of preparing a batch (cache, transforms, target) | {prepare:.0f} ms |',
        f'| share of loading in all CPU time | **{share:.1%}** |',
        f'| share of the run spent waiting for a batch | **{row["waiting_share"]:.1%}** |',
        f'| seconds a step in that run, as busy as the machine was | '
        f'{row["seconds_per_step"]:.3f} |',
    ]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog='bench', description=__doc__)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--steps', type=int, default=20)
    parser.add_argument('--docs', type=Path, default=REPOSITORY / 'docs' / 'studies')
    return parser


def main() -> int:
    """Measure, print, write."""
    arguments = parser().parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    lines = [
        '# What loading and transforms cost',
        '',
        'CPU time of one thread, 640x360 pictures with two target planes. The third column is the '
        "same work by torchvision v2's own functions, for the transforms that leave it to OpenCV.",
        '',
        *transform_table(arguments.steps),
        '',
    ]
    folder = REPOSITORY / 'out' / 'studies' / 'loading'
    lines += step_table(arguments.threads, arguments.steps, folder)
    lines += ['', 'Written by `python -m seg_node_training.studies.loading`.', '']
    with write_atomic(arguments.docs / 'loading.md') as temporary:
        temporary.write_text('\n'.join(lines), encoding='utf-8')
    print('\n'.join(lines))
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
