"""What the kernels are handed, by name: numba reads named tuples as it reads plain arguments."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from seg_node_sim.scene import Camera, CarlaPose


class View(NamedTuple):
    """A camera: place in metres, axes as columns of its rotation, pinhole in pixels."""

    x: float
    y: float
    z: float
    forward_x: float
    right_x: float
    up_x: float
    forward_y: float
    right_y: float
    up_y: float
    forward_z: float
    right_z: float
    up_z: float
    focal: float
    cx: float
    cy: float

    def place(self) -> np.ndarray:
        """float64 (3,), metres."""
        return np.array(self[:3])

    def rotation(self) -> np.ndarray:
        """float64 (3, 3): forward, right, up as columns."""
        return np.array(self[3:12]).reshape(3, 3)


def view_of(camera: Camera, pose: CarlaPose) -> View:
    """The view of a camera whose pose in the world is `pose`."""
    matrix = pose.matrix()
    pinhole = (camera.focal, camera.width / 2.0, camera.height / 2.0)
    return View._make([*matrix[:3, 3].tolist(), *matrix[:3, :3].ravel().tolist(), *pinhole])


class Tiles(NamedTuple):
    """The ground (`ground.Ground`): uint32 levels (tiles, n + 1, n + 1); int32 `tile_at` (rows,
    columns), numbers of tiles; the corner (x0, y0) of the first in metres; look:
    `wear.Look.numbers`; raised: has kerbs of `kerb` metres.
    """

    level0: np.ndarray
    level1: np.ndarray
    level2: np.ndarray
    level3: np.ndarray
    level4: np.ndarray
    tile_at: np.ndarray
    x0: float
    y0: float
    look: np.ndarray
    raised: bool
    kerb: float


class Things(NamedTuple):
    """The triangles of the stage: float32 table (n, COLUMNS), uint16 codes (n, 3)."""

    table: np.ndarray
    codes: np.ndarray


class Light(NamedTuple):
    """env: `atmosphere.Air.env`. near, far, where: `shadows.Windows`. lamps, beams, lamp_at: the
    light of street and head lamps on the ground, `shadows.Lamps`.
    """

    env: np.ndarray
    near: np.ndarray
    far: np.ndarray
    where: np.ndarray
    lamps: np.ndarray
    beams: np.ndarray
    lamp_at: np.ndarray


class Textures(NamedTuple):
    """Periodic noise, float32 (n, n), and the pictures of trees, `sprites.atlas`."""

    rough: np.ndarray
    fine: np.ndarray
    worn: np.ndarray
    clouds: np.ndarray
    atlas: np.ndarray


class Buffers(NamedTuple):
    """What is drawn into, (H, W). zbuffer: float32 depth of triangles, FAR where none. owner:
    int32, the visible triangle, -1 where none; the ground is written as -2 - kind. semantic:
    uint8. depth: float32. instance: uint16. linear: float32 (H, W, 3) BGR radiance. mirrors:
    float32, how much of a mirror the ground is. The last two are (1, 1) where no RGB is wanted.
    """

    zbuffer: np.ndarray
    owner: np.ndarray
    semantic: np.ndarray
    depth: np.ndarray
    instance: np.ndarray
    linear: np.ndarray
    mirrors: np.ndarray


class Hit(NamedTuple):
    """Where a pixel's ray ends: the point in metres; the ray, (dx, dy, dz) for one metre of depth
    and (ux, uy, uz) of unit length; the depth along the optical axis.
    """

    x: float
    y: float
    z: float
    dx: float
    dy: float
    dz: float
    ux: float
    uy: float
    uz: float
    depth: float


class Lit(NamedTuple):
    """How much of the sun, of the sky, of street lamps and of head lamps comes to a place."""

    sun: float
    sky: float
    lamp: float
    beam: float


class Texel(NamedTuple):
    """What level 0 of the ground knows of a place, see `ground_shade.probe`."""

    inside: float
    code: int
    paint: int
    tone: float
    gx: float
    gy: float
