"""The renderer: one visibility pass a camera, and what every sensor at that place sees of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from seg_node_sim.maps.opendrive import parse
from seg_node_sim.render import materials as m
from seg_node_sim.render import noise
from seg_node_sim.render.atmosphere import Air, air, tone_curve
from seg_node_sim.render.ground import build_ground
from seg_node_sim.render.object_shade import COLUMNS
from seg_node_sim.render.shade import develop, shade_rows
from seg_node_sim.render.wear import look
from seg_node_sim.scene import FAR, PASSES, Body, Camera, Pose, Town, Weather

BANDS = 8
TOP = 16.0  # the brightest radiance that the tone curve tells from white


class Renderer:
    """Draws one town. Not for concurrent calls; it has its own threads.

    threads: how many rows bands are drawn at once; by default two, or one on a single core.
    """

    def __init__(self, town: Town, threads: int | None = None) -> None:
        self.town = town
        opendrive = parse(town.xodr, town.name)
        style = look(town.name, town.seed)
        self._ground = build_ground(opendrive, town.style, style)
        raised = 1.0 if self._ground.raised else 0.0
        self._look = np.array([*style.asphalt, style.wear, *style.grass, raised], np.float32)
        self._textures = (
            noise.fractal(256, 1.2, 11, 3.0),
            noise.speckle(256, 12),
            noise.wear(256, 13),
            noise.fractal(256, 1.7, 14, 2.0),
        )
        self._curve = tone_curve(top=TOP)
        self._pool = ThreadPoolExecutor(threads or min(2, os.cpu_count() or 1), 'render')
        self._last: tuple[object, dict[str, np.ndarray]] | None = None

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=True)

    def render(
        self,
        camera: Camera,
        pose: Pose,
        bodies: Sequence[Body],
        weather: Weather,
        passes: Iterable[str],
        time_s: float,
    ) -> dict[str, np.ndarray]:
        """What a camera at `pose` sees; only the passes asked for.

        rgb: uint8 (H, W, 3), BGR. semantic: uint8 (H, W), CARLA tags since 0.9.14. depth: float32
        (H, W), metres along the optical axis, 1000 for the sky. instance: uint16 (H, W), actor ids
        (scenery has ids of its own from 32768 up; 0 none). Arrays are the caller's to keep.
        ValueError for an unknown pass.
        """
        wanted = frozenset(passes)
        if not wanted <= PASSES:
            raise ValueError(
                f'passes: expected a subset of {sorted(PASSES)}, got {sorted(wanted)}'
            )
        key = (camera, pose, tuple(bodies), weather, time_s)
        if self._last is not None and self._last[0] == key and wanted <= self._last[1].keys():
            return {name: self._last[1][name] for name in wanted}
        result = self._draw(camera, pose, bodies, weather, time_s, 'rgb' in wanted)
        self._last = (key, result)
        return {name: result[name] for name in wanted}

    def _draw(
        self,
        camera: Camera,
        pose: Pose,
        bodies: Sequence[Body],
        weather: Weather,
        time_s: float,
        rgb: bool,
    ) -> dict[str, np.ndarray]:
        height, width = camera.height, camera.width
        light = air(weather, time_s)
        view = self._view(camera, pose)
        zbuffer = np.full((height, width), FAR, np.float32)
        owner = np.full((height, width), -1, np.int32)
        triangles = np.zeros((1, COLUMNS), np.float32)
        codes = np.zeros((1, 3), np.uint16)
        linear = np.empty((height, width, 3) if rgb else (1, 1, 3), np.float32)
        out = {
            'semantic': np.empty((height, width), np.uint8),
            'depth': np.empty((height, width), np.float32),
            'instance': np.empty((height, width), np.uint16),
        }
        if rgb:
            out['rgb'] = np.empty((height, width, 3), np.uint8)
        shadows, lights = self._light_maps(light, pose)
        ground = self._ground

        def band(first: int, last: int) -> None:
            shade_rows(
                first,
                last,
                view,
                zbuffer,
                owner,
                triangles,
                codes,
                ground.levels,
                ground.index,
                ground.origin,
                self._look,
                light.env,
                self._textures,
                shadows,
                lights,
                linear,
                out['semantic'],
                out['depth'],
                out['instance'],
                rgb,
            )
            if rgb:
                develop(first, last, linear, self._curve, TOP, out['rgb'])

        self._bands(band, height)
        return out

    def _bands(self, work: object, height: int) -> None:
        edges = np.linspace(0, height, BANDS + 1).astype(int)
        jobs = [self._pool.submit(work, int(a), int(b)) for a, b in zip(edges, edges[1:])]
        for job in jobs:
            job.result()

    @staticmethod
    def _view(camera: Camera, pose: Pose) -> np.ndarray:
        matrix = pose.matrix()
        view = np.zeros(16)
        view[:3] = matrix[:3, 3]
        view[3:12] = matrix[:3, :3].ravel()
        view[12:15] = camera.focal, camera.width / 2.0, camera.height / 2.0
        return view

    def _light_maps(self, light: Air, pose: Pose) -> tuple[object, object]:
        none = np.zeros((2, 2), np.uint8)
        shadows = (none, none, np.zeros(8))
        lamps = np.zeros((2, 2), np.float32)
        return shadows, (lamps, lamps, np.zeros(10))


_ = m
