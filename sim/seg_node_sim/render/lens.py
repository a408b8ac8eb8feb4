"""From clean linear light to the picture: bloom, rain, and a real camera's flaws."""

from __future__ import annotations

import math

import cv2
import numpy as np

from seg_node_sim.scene import Camera, CameraPost


def bloom(linear: np.ndarray, strength: float) -> None:
    """Adds the glow round lights that are brighter than white, in place. linear: float32 BGR."""
    height, width = linear.shape[:2]
    size = (max(1, width // 4), max(1, height // 4))
    small = cv2.resize(linear, size, interpolation=cv2.INTER_AREA)
    np.clip(small - 1.3, 0.0, 12.0, out=small)
    if not small.any():
        return
    glow = cv2.GaussianBlur(small, (0, 0), width / 500.0)
    glow += cv2.GaussianBlur(small, (0, 0), width / 110.0)
    linear += strength * cv2.resize(glow, (width, height), interpolation=cv2.INTER_LINEAR)


def rain_layer(size: int = 512, seed: int = 5) -> np.ndarray:
    """float32 (size, size) in 0..1: streaks of falling drops, periodic in both directions."""
    rng = np.random.default_rng(seed)
    layer = np.zeros((size, size), np.float32)
    for _ in range(420):
        x, y = rng.integers(0, size, 2)
        length = int(rng.uniform(8, 46))
        value = float(rng.uniform(0.15, 0.8))
        lean = float(rng.normal(0.04, 0.02))
        for k in range(length):
            fade = math.sin(math.pi * (k + 0.5) / length)
            row, column = (y + k) % size, int(x + lean * k) % size
            layer[row, column] = max(layer[row, column], value * fade)
    soft: np.ndarray = cv2.GaussianBlur(layer, (0, 0), 0.6)
    return soft


def falling_rain(
    linear: np.ndarray, layer: np.ndarray, amount: float, time_s: float, light: np.ndarray
) -> None:
    """Lays rain over the picture, in place. amount: 0..1; light: float (3,) BGR of the drops."""
    height, width = linear.shape[:2]
    size = len(layer)
    rng = np.random.default_rng(int(time_s * 1000.0) & 0xFFFFFFFF)
    total = np.zeros((height, width), np.float32)
    for scale, weight in ((1.0, 0.35), (0.55, 0.28)):
        dx, dy = rng.integers(0, size, 2)
        rows = ((np.arange(height) * scale).astype(int) + dy) % size
        cols = ((np.arange(width) * scale).astype(int) + dx) % size
        total += weight * layer[np.ix_(rows, cols)]
    cover = np.minimum(total * (0.35 + 0.65 * amount), 0.6)[..., None]
    linear += (light.astype(np.float32) - linear) * cover


def distort(camera: Camera, images: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Bends all passes through the lens alike: RGB smoothly, truth by the nearest pixel."""
    post = camera.post
    width, height = camera.width, camera.height
    u = (np.arange(width) + 0.5 - width / 2.0) / (width / 2.0)
    v = (np.arange(height) + 0.5 - height / 2.0) / (width / 2.0)
    square = u[None, :] ** 2 + v[:, None] ** 2
    factor = 1.0 + post.lens_k * square + post.lens_kcube * square * square
    map_x = (u[None, :] * factor * width / 2.0 + width / 2.0 - 0.5).astype(np.float32)
    map_y = (v[:, None] * factor * width / 2.0 + height / 2.0 - 0.5).astype(np.float32)
    bent = {}
    for name, image in images.items():
        how = cv2.INTER_LINEAR if name == 'rgb' else cv2.INTER_NEAREST
        bent[name] = cv2.remap(image, map_x, map_y, how, borderMode=cv2.BORDER_REPLICATE)
    return bent


def vignette(linear: np.ndarray, amount: float) -> None:
    """Darkens the corners, in place."""
    height, width = linear.shape[:2]
    u = (np.arange(width) - width / 2.0) / (width / 2.0)
    v = (np.arange(height) - height / 2.0) / (width / 2.0)
    linear *= (1.0 - amount * 0.6 * (u[None, :] ** 2 + v[:, None] ** 2)).astype(np.float32)[
        ..., None
    ]


def motion_blur(
    linear: np.ndarray, depth: np.ndarray, camera: Camera, velocity: np.ndarray, seconds: float
) -> np.ndarray:
    """Smears the still world along its way over the picture while the shutter is open.

    velocity: float (3,), the camera's, in camera axes (forward, right, up), m/s.
    """
    height, width = depth.shape
    focal = camera.focal
    u = (np.arange(width) + 0.5 - width / 2.0)[None, :]
    v = (np.arange(height) + 0.5 - height / 2.0)[:, None]
    forward, right, up = velocity * seconds
    flow_x = ((u * forward - focal * right) / depth).astype(np.float32)
    flow_y = ((v * forward + focal * up) / depth).astype(np.float32)
    base_x = np.broadcast_to(np.arange(width, dtype=np.float32), depth.shape)
    base_y = np.broadcast_to(np.arange(height, dtype=np.float32)[:, None], depth.shape)
    total = np.zeros_like(linear)
    taps = 5
    for t in np.linspace(-0.5, 0.5, taps):
        total += cv2.remap(
            linear,
            base_x + np.float32(t) * flow_x,
            base_y + np.float32(t) * flow_y,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return total / taps


def sensor_noise(image: np.ndarray, post: CameraPost, time_s: float) -> np.ndarray:
    """Adds shot and read noise. image: uint8 (H, W, 3); a new array comes back."""
    rng = np.random.default_rng([post.seed, round(time_s * 1000.0) & 0xFFFFFFFF])
    grain = rng.standard_normal(image.shape, dtype=np.float32)
    level = post.noise * (0.6 + 0.8 * np.sqrt(image.astype(np.float32) / 255.0))
    noisy: np.ndarray = np.clip(image + grain * level, 0.0, 255.0).astype(np.uint8)
    return noisy
