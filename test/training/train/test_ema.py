"""The moving average is the one that earlier checkpoints were made with, and takes theirs."""

from __future__ import annotations

import torch
from torch import nn

from seg_node_training.train.checkpoint import load_state
from seg_node_training.train.ema import Ema


def _network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def _changed(network: nn.Module) -> None:
    with torch.no_grad():
        for value in network.state_dict().values():
            value.add_(torch.randn_like(value) if value.is_floating_point() else 1)


def test_floats_follow_by_the_growing_decay_and_numbers_are_taken_over() -> None:
    network = _network()
    ema = Ema(network, 0.5)
    expected = {k: v.clone() for k, v in network.state_dict().items()}
    for update in range(1, 15):
        _changed(network)
        ema.follow(network)
        decay = min(0.5, (1 + update) / (10 + update))
        for key, value in network.state_dict().items():
            if value.is_floating_point():
                expected[key].lerp_(value, 1 - decay)
            else:
                expected[key].copy_(value)
    assert ema.updates == 14
    for key, value in ema.module.state_dict().items():
        torch.testing.assert_close(value, expected[key], rtol=1e-6, atol=1e-7)
    assert not any(p.requires_grad for p in ema.module.parameters())


def test_the_weights_of_a_checkpoint_have_the_networks_own_names() -> None:
    """What `ema` holds in a checkpoint of any age: the state of a bare network."""
    network = _network()
    earlier = {k: v.clone() for k, v in network.state_dict().items()}
    _changed(network)
    ema = Ema(network, 0.9)
    load_state(ema.module, earlier, 'checkpoint')
    ema.updates = 500
    for key, value in ema.module.state_dict().items():
        assert torch.equal(value, earlier[key])
    ema.follow(network)
    weight = ema.module.state_dict()['0.weight']
    expected = torch.lerp(earlier['0.weight'], network.state_dict()['0.weight'], 0.1)
    torch.testing.assert_close(weight, expected)
