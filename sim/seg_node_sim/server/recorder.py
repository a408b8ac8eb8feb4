"""The recorder: CARLA's binary log of a drive (its documentation: recorder binary file format).

What is written: actors that come and go, who is attached to whom, collisions, and of each frame
the places of all vehicles and walkers, controls and walking speeds.  Locations are in
centimetres, as the simulator has them.

Clients name the file, so only its last part counts: recordings lie in a folder of this process
that nobody else can write to, and have a largest size together.
"""

from __future__ import annotations

import contextlib
import re
import struct
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from seg_node.errors import InputError
from seg_node_sim.scene import CarlaPose
from seg_node_sim.server.actors import Actor, Vehicle, Walker
from seg_node_sim.server.collide import Contact

MAGIC, VERSION = 'CARLA_RECORDER', 1
MAX_BYTES = 256 << 20  # of all recordings of one server
_START, _END, _ADD, _DEL, _PARENT, _COLLISION, _POSITION, _STATE, _VEHICLE, _WALKER = range(10)
_OTHER, _CAR, _PEDESTRIAN = 0, 1, 2


class EpisodeRecorder:
    """Writes frames while a recording runs."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._file: BinaryIO | None = None
        self._known: dict[int, Actor] = {}
        self._written = 0
        self._frames = 0
        self._collisions = 0

    def start(self, name: str, map_name: str) -> str:
        """Begin a recording, ending a running one; returns the path of the file.

        Raises InputError when the name has no usable last part, the disk is full, or earlier
        recordings have used up MAX_BYTES.
        """
        self.stop()
        short = name.replace('\\', '/').rsplit('/', 1)[-1]
        if not re.fullmatch(r'[\w.\- ]{1,100}', short, re.ASCII) or short.strip('. ') == '':
            raise InputError(f'recorder: expected the name of a file, got {name[:80]!r}')
        if self._written >= MAX_BYTES:
            raise InputError(f'recorder: recordings of this server have {MAX_BYTES} bytes')
        try:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix='seg_node-recordings-'))
            path = self._folder / short
            self._file = path.open('wb')
        except OSError as error:
            raise InputError(f'recorder: cannot write {short}: {error.strerror}') from error
        self._known, self._frames, self._collisions = {}, 0, 0
        now = struct.pack('<q', int(time.time()))
        self._write(struct.pack('<H', VERSION) + _text(MAGIC) + now + _text(map_name))
        return str(path)

    def stop(self) -> None:
        """End the recording, if one runs."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # a full disk: earlier frames are there
                self._file.close()
            self._file = None

    def frame(
        self, delta: float, elapsed: float, actors: Iterable[Actor], contacts: Sequence[Contact]
    ) -> None:
        """Add a frame. A full disk or MAX_BYTES ends the recording; earlier frames stay."""
        if self._file is None:
            return
        self._frames += 1
        present = {actor.id: actor for actor in actors}
        packets = [_packet(_START, struct.pack('<Qdd', self._frames, delta, elapsed))]
        packets += self._events(present)
        packets += self._states(present, contacts)
        packets.append(_packet(_END, b''))
        self._write(b''.join(packets))

    def _write(self, data: bytes) -> None:
        assert self._file is not None
        if self._written + len(data) > MAX_BYTES:
            self.stop()
            return
        try:
            self._file.write(data)
        except OSError:
            self.stop()
            return
        self._written += len(data)

    def _events(self, present: dict[int, Actor]) -> list[bytes]:
        packets = []
        new = [a for i, a in present.items() if i not in self._known and a.description.uid]
        gone = [i for i in self._known if i not in present]
        if new:
            packets.append(_packet(_ADD, _records([_added(a) for a in new])))
        if gone:
            packets.append(_packet(_DEL, _records([struct.pack('<I', i) for i in gone])))
        attached = [a for a in new if a.parent is not None]
        if attached:
            pairs = [struct.pack('<II', a.id, a.parent.id) for a in attached if a.parent]
            packets.append(_packet(_PARENT, _records(pairs)))
        self._known = {i: a for i, a in present.items() if a.description.uid}
        return packets

    def _states(self, present: dict[int, Actor], contacts: Sequence[Contact]) -> list[bytes]:
        moving = [a for a in present.values() if isinstance(a, (Vehicle, Walker))]
        hits = []
        for contact in contacts:
            self._collisions += 1
            ids = (self._collisions, contact.a.id, contact.b.id, _is_hero(contact.a))
            hits.append(struct.pack('<III??', *ids, _is_hero(contact.b)))
        packets = [_packet(_COLLISION, _records(hits))] if hits else []
        places = [struct.pack('<I', a.id) + _place(a.pose) for a in moving]
        packets.append(_packet(_POSITION, _records(places)))
        controls = [
            struct.pack(
                '<Ifff?i',
                a.id,
                a.control.steer,
                a.control.throttle,
                a.control.brake,
                a.control.hand_brake,
                a.control.gear,
            )
            for a in moving
            if isinstance(a, Vehicle)
        ]
        packets.append(_packet(_VEHICLE, _records(controls)))
        speeds = [struct.pack('<If', a.id, a.control.speed) for a in moving
                  if isinstance(a, Walker)]  # fmt: skip
        packets.append(_packet(_WALKER, _records(speeds)))
        return packets


def _packet(kind: int, data: bytes) -> bytes:
    return struct.pack('<BI', kind, len(data)) + data


def _records(records: Sequence[bytes]) -> bytes:
    return struct.pack('<H', len(records)) + b''.join(records)


def _text(text: str) -> bytes:
    data = text.encode('utf-8', 'surrogateescape')
    return struct.pack('<H', len(data)) + data


def _place(pose: CarlaPose) -> bytes:
    centimetres = [100.0 * c for c in pose.location]
    return struct.pack('<6f', *centimetres, pose.roll, pose.pitch, pose.yaw)


def _is_hero(actor: Actor) -> bool:
    return actor.attributes.text('role_name') == 'hero'


def _added(actor: Actor) -> bytes:
    kind = _CAR if isinstance(actor, Vehicle) else _OTHER
    kind = _PEDESTRIAN if isinstance(actor, Walker) else kind
    description = actor.description
    parts = [struct.pack('<IB', actor.id, kind), _place(actor.pose)]
    parts += [struct.pack('<I', description.uid), _text(description.id)]
    parts.append(struct.pack('<H', len(description.attributes)))
    for name, type_, value in description.attributes:
        parts += [struct.pack('<B', type_), _text(name), _text(value)]
    return b''.join(parts)
