"""A CPU renderer of road scenes: RGB, semantic tags, depth and instance ids from one visibility pass."""

from seg_node_sim.render.renderer import Renderer

__all__ = ['Renderer']
