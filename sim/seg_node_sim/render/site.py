"""What is collected while scenery is being placed: meshes, trees, shadows, lamps, parked cars."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from seg_node_sim.maps.markings import Strip
from seg_node_sim.maps.opendrive import OpenDrive
from seg_node_sim.render import furniture
from seg_node_sim.render import materials as m
from seg_node_sim.render.mesh import Mesh, MeshBuilder
from seg_node_sim.render.places import Room, Spot, rectangle
from seg_node_sim.render.sprites import BUSH

FIRST_NUMBER = 32768  # instance ids of scenery
CARS = (
    ('vehicle.tesla.model3', (2.396, 1.08, 0.744)),
    ('vehicle.audi.a2', (1.853, 0.895, 0.774)),
    ('vehicle.toyota.prius', (2.257, 1.003, 0.762)),
    ('vehicle.nissan.patrol', (2.302, 0.966, 0.924)),
    ('vehicle.volkswagen.t2', (2.240, 1.035, 1.019)),
    ('vehicle.ford.mustang', (2.359, 0.948, 0.650)),
    ('vehicle.seat.leon', (2.096, 0.908, 0.737)),
)
COLOURS = (
    (0.65, 0.65, 0.64), (0.30, 0.31, 0.32), (0.06, 0.06, 0.065), (0.02, 0.02, 0.022),
    (0.40, 0.03, 0.03), (0.03, 0.07, 0.28), (0.04, 0.15, 0.07), (0.30, 0.24, 0.14),
    (0.12, 0.18, 0.24), (0.55, 0.28, 0.03),
)  # fmt: skip


@dataclass(frozen=True)
class Parked:
    """A car that stands for good."""

    blueprint: str
    x: float
    y: float
    yaw: float
    extent: tuple[float, float, float]
    colour: tuple[float, float, float]


@dataclass
class Site:
    """Collects scenery while it is being placed."""

    opendrive: OpenDrive
    strips: list[Strip]
    room: Room
    rng: np.random.Generator
    objects: list[Mesh] = field(default_factory=list)
    boards: list[list[float]] = field(default_factory=list)
    casters: list[tuple[np.ndarray, float, float]] = field(default_factory=list)
    lamps: list[tuple[float, float, float, float]] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)
    number: int = FIRST_NUMBER

    def builder(self, tag: int) -> MeshBuilder:
        """A builder for the next thing, with a number of its own."""
        self.number = FIRST_NUMBER + (self.number + 1 - FIRST_NUMBER) % 32000
        return MeshBuilder(tag=tag, number=self.number)

    def add(self, *builders: MeshBuilder) -> None:
        """Keeps what the builders made as one object."""
        meshes = [b.mesh() for b in builders if b.corners]
        if meshes:
            self.objects.append(
                Mesh(
                    np.concatenate([x.corners for x in meshes]),
                    np.concatenate([x.table for x in meshes]),
                    np.concatenate([x.codes for x in meshes]),
                )
            )

    def tree(self, x: float, y: float, pictures: tuple[int, ...], height: float) -> None:
        """A tree or bush at (x, y)."""
        rng = self.rng
        picture = int(rng.choice(pictures))
        wide = height * float(rng.uniform(0.75, 1.0)) * (1.25 if picture in BUSH else 0.95)
        self.number = FIRST_NUMBER + (self.number + 1 - FIRST_NUMBER) % 32000
        tint = 0.5 * rng.uniform(0.75, 1.15) * (1.0 + rng.normal(0.0, 0.06, 3))
        tag = float(m.VEGETATION)
        self.boards.append([x, y, -0.05, wide, height, picture, tag, self.number, *tint, 0.0])

    def park(self, x: float, y: float, yaw: float) -> None:
        """Any car, for good."""
        blueprint, extent = CARS[int(self.rng.integers(len(CARS)))]
        colour = COLOURS[int(self.rng.integers(len(COLOURS)))]
        self.parked.append(Parked(blueprint, x, y, yaw, extent, colour))

    def lamp(self, spot: Spot, back: float, height: float, arm: float) -> None:
        """A street lamp `back` metres behind the spot, its arm reaching over the road."""
        x, y = spot.away(back)
        pole = self.builder(m.POLE)
        head = furniture.lamp(pole, x, y, spot.out, height, arm)
        self.add(pole)
        self.lamps.append((*head, height, 1.0))
        self.casters.append((rectangle(x, y, (0.09, 0.09), 0.0), 0.0, height))
