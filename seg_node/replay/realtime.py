"""The drive played into a running seg_node over DDS: drops, ages, and whether the masks agree."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from seg_node.bags.bag import Bag
from seg_node.errors import ConfigError, InputError
from seg_node.progress import track
from seg_node.replay.evaluation import Evaluation
from seg_node.replay.journal import EVALUATED
from seg_node.timing import percentiles

_MOST_LISTED = 20
Connect = Callable[[str, str, bool], AbstractContextManager[Any]]
"""From image topic, mask topic and whether frames are compressed to a client in the graph."""


@dataclass(frozen=True)
class Realtime:
    """Where the node is and how fast to play: `rate` times the recorded pace.

    `wait_s`: for the node to be there, and for the last mask.
    """

    image_topic: str = '/image'
    mask_topic: str = '/seg_node/mask'
    rate: float = 1.0
    wait_s: float = 20.0

    def __post_init__(self) -> None:
        if not 0.01 <= self.rate <= 100:
            raise ConfigError(f'--rate: expected 0.01 to 100, got {self.rate:g}')


def play(evaluation: Evaluation, settings: Realtime, connect: Connect) -> dict[str, Any]:
    """Play every drive and compare with the offline masks of the first model.

    `connect`: `seg_node.ros.replay_client.replay_client`, which this package cannot import.

    Raises `InputError` when no node is there. The node must run that model at
    `output_size: source`.
    """
    count = len(evaluation.plan.drives)
    drives = [_play_drive(evaluation, i, settings, connect) for i in range(count)]
    return {'image_topic': settings.image_topic, 'rate': settings.rate, 'drives': drives}


def _play_drive(
    evaluation: Evaluation, index: int, settings: Realtime, connect: Connect
) -> dict[str, Any]:
    drive = evaluation.plan.drives[index]
    stamps, digests = _offline(evaluation, index)
    if len(np.unique(stamps)) != len(stamps):
        raise InputError(f'{drive.bag}: --realtime: frames of equal stamps cannot be told apart')
    offline = dict(zip(stamps.tolist(), digests.tolist()))
    with Bag(drive.bag) as bag:
        camera = bag.topic(drive.camera)
        assert camera is not None
        compressed = camera.type.endswith('CompressedImage')
        with connect(settings.image_topic, settings.mask_topic, compressed) as client:
            if not client.wait_for_node(settings.wait_s):
                raise InputError(
                    f'--realtime: expected a running seg_node that subscribes '
                    f'{settings.image_topic} and publishes {settings.mask_topic}, found none '
                    f'within {settings.wait_s:g} s'
                )
            sent = _send_all(evaluation, index, bag, client, settings)
            if sent:
                client.wait_for_mask(sent[-1], settings.wait_s)
            masks = dict(client.masks)
    return _compared(sent, offline, masks)


def _offline(evaluation: Evaluation, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Stamps (ns) and mask digests of the evaluated frames of a drive."""
    book = evaluation.book
    chosen = book.column(lambda c: (c['drive'] == index) & (c['status'] == EVALUATED)).astype(bool)
    stamps = book.column(lambda c: c['stamp'])
    digests = book.column(lambda c: c['models'][:, 0]['digest'])
    return stamps[chosen], digests[chosen]


def _send_all(
    evaluation: Evaluation, index: int, bag: Bag, client: Any, settings: Realtime
) -> list[int]:
    """Publish the selected frames at their pace; their stamps."""
    plan = evaluation.plan
    drive = plan.drives[index]
    sent: list[int] = []
    origin: tuple[int, float] | None = None
    messages = bag.messages([drive.camera], drive.start_ns)
    for message in track(messages, 'realtime', plan.limit or drive.count):
        if drive.end_ns is not None and message.log_ns >= drive.end_ns:
            break
        content = bag.deserialize(message)
        if origin is None:
            origin = message.log_ns, time.monotonic()
        due = origin[1] + (message.log_ns - origin[0]) / 1e9 / settings.rate
        time.sleep(max(0.0, due - time.monotonic()))
        client.send(content, message.stamp_ns, message.frame_id)
        sent.append(message.stamp_ns)
        if len(sent) == plan.limit:
            break
    return sent


def _compared(
    sent: list[int], offline: dict[int, int], masks: dict[int, tuple[int, float]]
) -> dict[str, Any]:
    both = [stamp for stamp in sent if stamp in masks and stamp in offline]
    different = [stamp for stamp in both if masks[stamp][0] != offline[stamp]]
    return {
        'sent': len(sent),
        'masks': len(masks),
        'dropped': len(sent) - len(masks),
        'compared': len(both),
        'equal': len(both) - len(different),
        'different_stamps': different[:_MOST_LISTED],
        'frame_age_ms': percentiles(age for _, age in masks.values()),
    }


def problems(report: dict[str, Any]) -> list[str]:
    """What is wrong with a realtime run, one line each; dropped frames are not."""
    lines = []
    for drive in report['drives']:
        if drive['equal'] < drive['compared']:
            lines.append(
                f'--realtime: {drive["compared"] - drive["equal"]} of {drive["compared"]} masks '
                f'of the node differ from the offline ones, the first at stamp '
                f'{drive["different_stamps"][0]}'
            )
        if drive['sent'] and not drive['masks']:
            lines.append('--realtime: the node answered no frame')
    return lines
