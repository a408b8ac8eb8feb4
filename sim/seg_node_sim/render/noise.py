"""Tileable noise textures, the raw material of every surface; deterministic."""

from __future__ import annotations

import numpy as np


def fractal(size: int, exponent: float, seed: int, low: float = 1.0) -> np.ndarray:
    """float32 (size, size), zero mean, unit deviation, periodic: noise with spectrum f^-exponent.

    low: frequencies below this many cycles per texture are removed.
    """
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(rng.standard_normal((size, size)))
    fy = np.fft.fftfreq(size)[:, None] * size
    fx = np.fft.rfftfreq(size)[None, :] * size
    f = np.hypot(fx, fy)
    gain = np.where(f >= low, np.maximum(f, 1.0) ** -exponent, 0.0)
    field: np.ndarray = np.fft.irfft2(spectrum * gain, (size, size))
    field -= field.mean()
    unit: np.ndarray = (field / field.std()).astype(np.float32)
    return unit


def speckle(size: int, seed: int) -> np.ndarray:
    """float32 (size, size), like `fractal`: the fine grain of asphalt, light and dark stones."""
    rng = np.random.default_rng(seed)
    stones = rng.standard_normal((size, size)) ** 3
    spectrum = np.fft.rfft2(stones)
    fy = np.fft.fftfreq(size)[:, None]
    fx = np.fft.rfftfreq(size)[None, :]
    low_pass = np.exp(-((fx**2 + fy**2) / 0.18))
    field: np.ndarray = np.fft.irfft2(spectrum * low_pass, (size, size))
    field -= field.mean()
    unit: np.ndarray = np.clip(field / field.std(), -3.0, 3.0).astype(np.float32)
    return unit


def wear(size: int, seed: int) -> np.ndarray:
    """float32 (size, size) in 0..1: where paint goes first; uniform distribution of values."""
    rough = fractal(size, 1.1, seed, 4.0) + 0.6 * speckle(size, seed + 1)
    order = rough.ravel().argsort().argsort().reshape(size, size)
    return (order / (size * size - 1.0)).astype(np.float32)
