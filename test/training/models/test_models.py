"""The source systems' networks: sizes as published, shapes, gradients."""

from __future__ import annotations

import pytest
import torch

from seg_node_training.models import MODELS, build_model, count_parameters


@pytest.mark.parametrize(
    ('name', 'options', 'outputs', 'parameters'),
    [
        ('light_unet', {}, 2, 1_967_320),
        ('team1_unet', {}, 1, 31_031_745),
        ('shared_bias_unet', {}, 6, 66_458_802),
        ('enet', {}, 20, None),
    ],
)
def test_published_sizes(name, options, outputs, parameters):
    with torch.device('meta'):
        model = build_model(name, outputs, **options)
    if parameters is None:
        assert 0.34e6 < count_parameters(model) < 0.38e6  # 0.36 M in the paper
    else:
        assert count_parameters(model) == parameters


def test_mobilenetv3_small_with_42_classes_has_the_published_size():
    import torchvision

    model = torchvision.models.mobilenet_v3_small(num_classes=42)
    assert count_parameters(model) == 1_560_906


SMALL = {
    'light_unet': {'base': 4, 'depth': 2, 'stem': 4},
    'lane_net': {'widths': (8, 16, 16)},
    'team1_unet': {'base': 4, 'depth': 2, 'padding': 'valid'},
    'shared_bias_unet': {'channels': 3, 'depth': 4, 'size': 64},
    'residual_unet': {'channels': 4, 'depth': 3},
    'dropout_unet': {'base': 4, 'depth': 2},
    'enet': {},
    'mobilenetv3_unet': {},
    'deeplabv3plus': {'encoder': 'resnet18'},
    'segformer': {},
    'smp': {'architecture': 'Linknet', 'encoder': 'resnet18'},
}


@pytest.mark.parametrize('name', sorted(MODELS))
def test_logits_have_the_size_of_the_picture_and_gradients_flow(name):
    torch.manual_seed(0)
    model = build_model(name, 3, **SMALL[name])
    logits = model(torch.rand(2, 3, 64, 96))
    assert logits.shape == (2, 3, 64, 96)
    logits.square().mean().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_the_shared_bias_is_one_number():
    model = build_model('shared_bias_unet', 6, channels=3, depth=4, size=64)
    assert sum(p.ndim == 0 for p in model.parameters()) == 1
    shared = {id(m.shared) for m in model.modules() if hasattr(m, 'shared')}
    assert len(shared) == 1


@pytest.mark.parametrize('size', [(256, 512), (192, 320), (97, 130)])
def test_valid_unet_covers_pictures_of_any_size(size):
    with torch.device('meta'):
        model = build_model('team1_unet', 1, base=2, depth=4)
        assert model(torch.zeros(1, 3, *size)).shape == (1, 1, *size)


@pytest.mark.parametrize('pooling', ['average', 'stride'])
@pytest.mark.parametrize('residual', [True, False])
@pytest.mark.parametrize('batch_norm', [True, False])
def test_every_option_of_the_ablation_builds(pooling, residual, batch_norm):
    options = {'pooling': pooling, 'residual': residual, 'batch_norm': batch_norm}
    model = build_model('residual_unet', 6, channels=5, depth=5, **options)
    assert model(torch.rand(1, 3, 32, 64)).shape == (1, 6, 32, 64)
