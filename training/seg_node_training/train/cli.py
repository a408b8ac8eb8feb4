"""Train a recipe: `python training/train.py F --config light_unet`, `T -p CHECKPOINT` to go on."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from seg_node.errors import ConfigError
from seg_node_training.command import run_command
from seg_node_training.config import Recipe, load_recipe, parse_recipe, resolve
from seg_node_training.data.open import check_sets, open_set
from seg_node_training.train.checkpoint import latest_checkpoint, load_checkpoint
from seg_node_training.train.devices import Machine, is_first_process
from seg_node_training.train.legacy import CONFIG, find_checkpoint, load_legacy
from seg_node_training.train.loop import Trainer
from seg_node_training.train.start import start_state


def parser() -> argparse.ArgumentParser:
    """The command line, the predecessor's first."""
    parser = argparse.ArgumentParser(prog='train.py', description=__doc__)
    parser.add_argument(
        'resume', choices=('T', 'F'), help='T: go on from a checkpoint, F: from zero'
    )
    parser.add_argument(
        '-p', '--pth', help='with T: checkpoint to go on from; default: the latest in --out'
    )
    parser.add_argument(
        '--config',
        help="recipe: a name, a YAML file, or the predecessor's Unet_config.json; default: an "
        'Unet_config.json in the present folder, else light_unet',
    )
    parser.add_argument('--out', help='folder of checkpoints and logs; default out/train/<recipe>')
    parser.add_argument(
        '--init',
        help='with F: begin with the averaged weights of this checkpoint, or those of a shipped '
        'float file, *_fp32.onnx',
    )
    parser.add_argument(
        '--data', help="folder of the data sets, instead of the recipe's data.root"
    )
    parser.add_argument(
        '--overfit', type=int, help='check: learn N pictures by heart, unaugmented'
    )
    parser.add_argument('--limit', type=float, help='share of each set that is used, 0..1')
    parser.add_argument('--until', type=int, help='stop after this step (the schedule stays)')
    parser.add_argument('--accelerator', choices=('auto', 'cpu', 'gpu'), default='auto')
    parser.add_argument(
        '--devices', type=int, help='processes (DDP), one a GPU; default: every GPU, or one CPU'
    )
    parser.add_argument('--nodes', type=int, default=1, help='machines; torchrun sets both itself')
    return parser


def overfitting(recipe: Recipe, count: int) -> Recipe:
    """The recipe on `count` pictures of its first set, as they are, scored on the same ones."""
    part = recipe.data.train[0].model_copy(update={'limit': count})
    data = recipe.data.model_copy(update={'train': (part,), 'evaluate': (part,)})
    # The cached picture is then what the network sees.
    size = {'cache_height': recipe.input.height, 'cache_width': recipe.input.width}
    data = data.model_copy(update=size)
    return recipe.model_copy(update={'data': data, 'transforms': ()})


def limited(recipe: Recipe, share: float) -> Recipe:
    """The recipe on `share` of the pictures of each training set (the old `data_rate`)."""
    if not 0 < share <= 1:
        raise ConfigError(f'--limit: expected a share above 0 and up to 1, got {share}')
    parts = []
    for part in recipe.data.train:
        count = len(open_set(part, recipe).sources())
        parts.append(part.model_copy(update={'limit': max(1, round(share * count))}))
    data = recipe.data.model_copy(update={'train': tuple(parts)})
    return recipe.model_copy(update={'data': data})


def with_root(recipe: Recipe, root: str) -> Recipe:
    """The recipe with its data sets in the folder `root`."""
    folder = str(Path(root).expanduser().resolve())
    return recipe.model_copy(update={'data': recipe.data.model_copy(update={'root': folder})})


def refuse_to_mix(folder: Path, prefix: str) -> None:
    """`ConfigError` where a run from zero would overwrite an older one's checkpoints."""
    checkpoint = latest_checkpoint(folder, prefix)
    if checkpoint is not None:
        raise ConfigError(
            f'train F: {checkpoint} is there from another run; go on with it by T, give another '
            '--out, or move it away'
        )


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says; raises `SegNodeError`."""
    state, legacy_folder = None, None
    config = arguments.config or (CONFIG if Path(CONFIG).is_file() else 'light_unet')
    if arguments.resume == 'T' and arguments.pth:
        checkpoint = find_checkpoint(Path(arguments.pth))
        state = load_checkpoint(checkpoint)
        recipe = parse_recipe(state['recipe'], str(checkpoint))
        legacy_folder = checkpoint.parent
    elif config.endswith('.json'):
        recipe, legacy_folder = load_legacy(Path(config))
    else:
        recipe = load_recipe(config)
    folder = legacy_folder or resolve(f'out/train/{recipe.name}')
    folder = Path(arguments.out) if arguments.out else folder
    if arguments.resume == 'T' and state is None:
        newest = latest_checkpoint(folder, recipe.prefix_name)
        if newest is None:
            raise ConfigError(f'train T: no checkpoint in {folder}; give one with -p, or use F')
        state = load_checkpoint(newest)
        recipe = parse_recipe(state['recipe'], str(newest))
    if state is None:
        refuse_to_mix(folder, recipe.prefix_name)
    if arguments.data is not None:
        recipe = with_root(recipe, arguments.data)
    if arguments.limit is not None:
        recipe = limited(recipe, arguments.limit)
    if arguments.overfit is not None:
        recipe = overfitting(recipe, arguments.overfit)
    check_sets(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    if is_first_process():
        logging.basicConfig(
            level=logging.INFO,
            format='%(asctime)s %(message)s',
            handlers=[logging.StreamHandler(), logging.FileHandler(folder / 'train.log')],
        )
    logging.getLogger('lightning').setLevel(logging.WARNING)
    machine = Machine(arguments.accelerator, arguments.devices or 'auto', arguments.nodes)
    trainer = Trainer(recipe, folder, state, machine)
    if arguments.init and arguments.resume == 'F':
        trainer.start_from(start_state(Path(arguments.init), recipe))
    saved = trainer.run(arguments.until)
    if is_first_process():
        loss = trainer.recent_loss
        shown = 'no finite loss' if loss is None else f'loss {loss:.4f}'
        print(f'step {trainer.step} of {recipe.loop.steps}: {shown}; checkpoint {saved}')


def main() -> int:
    """Exit status of the command."""
    return run_command(parser, run)


if __name__ == '__main__':
    raise SystemExit(main())
