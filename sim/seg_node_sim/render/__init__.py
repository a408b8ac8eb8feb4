"""A CPU renderer of road scenes: RGB, tags, depth and instances from one visibility pass."""

from seg_node_sim.render.renderer import Renderer

__all__ = ['Renderer']
