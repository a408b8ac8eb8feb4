"""Lifecycle transitions in any order: what is refused, and what is left behind."""

from __future__ import annotations

import os
import random

import pytest

pytest.importorskip('rclpy')

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from sensor_msgs.msg import Image

from seg_node.soak.held import ProcessUse

DOMAIN = 58


def test_200_transitions_in_any_order_leave_nothing_behind(tester, seg_node, contract_model):
    """What the state allows goes well, the rest is refused, and the node still works."""
    seg_node(model=str(contract_model), autostart=False)
    after = {
        ('unconfigured', 'configure'): 'inactive',
        ('inactive', 'activate'): 'active',
        ('active', 'deactivate'): 'inactive',
        ('inactive', 'cleanup'): 'unconfigured',
    }
    client = tester.node.create_client(ChangeState, '/seg_node/change_state')
    assert client.wait_for_service(60)

    def change(transition: str) -> bool:
        number = getattr(Transition, f'TRANSITION_{transition.upper()}')
        future = client.call_async(ChangeState.Request(transition=Transition(id=number)))
        tester.wait(future.done, f'answer to {transition}')
        return future.result().success

    def held() -> ProcessUse:
        tester.wait(
            lambda: not tester.node.count_publishers('/seg_node/mask'), 'the publishers to go'
        )
        return ProcessUse.by(os.getpid(), 0.0)

    rng = random.Random(3)
    state, done, samples = 'unconfigured', 0, []
    while done < 200 or state != 'unconfigured':
        transition = rng.choice(['configure', 'activate', 'deactivate', 'cleanup'])
        # Which are refused is asked of the state machine, now and then; most goes on.
        if (state, transition) not in after and rng.random() < 0.7:
            continue
        expected = after.get((state, transition))
        assert change(transition) == (expected is not None), (state, transition)
        state = expected or state
        done += 1
        if state == 'unconfigured' and transition == 'cleanup':
            samples.append(held())
    assert tester.state() == state
    first, last = samples[1], samples[-1]
    assert len(samples) > 10  # a leak at every round would show
    assert last.threads <= first.threads + 3
    assert last.descriptors <= first.descriptors + 3
    assert change('configure') and change('activate')
    tester.camera()
    tester.warm_up(tester.listen(Image, '/seg_node/mask'))
    tester.node.destroy_client(client)
