"""How scores become classes, as the node's parameters say it."""

from __future__ import annotations

from dataclasses import dataclass

from seg_node.errors import ConfigError
from seg_node.model.spec import ModelSpec
from seg_node.pipeline import Segmenter
from seg_node.steadiness import Hysteresis


@dataclass(frozen=True)
class Decision:
    """How scores become classes: `thresholds` a foreground class (empty: the model's own), and
    `hysteresis`, the margin of `Hysteresis` (0: none).
    """

    thresholds: tuple[int, ...] = ()
    hysteresis: int = 0

    def check(self, spec: ModelSpec) -> None:
        """Raise `ConfigError` for what a model cannot take."""
        for name, told in (('thresholds', self.thresholds), ('hysteresis', self.hysteresis)):
            if told and spec.head != 'sigmoid':
                raise ConfigError(f'{name}: model {spec.name} decides by the largest score')
        expected, got = len(spec.thresholds), list(self.thresholds)
        if got and (len(got) != expected or not all(1 <= t <= 255 for t in got)):
            raise ConfigError(f'thresholds: expected {expected} values from 1 to 255, got {got}')

    def apply(self, segmenter: Segmenter) -> None:
        """Tell a segmenter; what it holds of earlier frames stays where the margin does."""
        decider = segmenter.decider
        decider.thresholds = self.thresholds or segmenter.runner.spec.thresholds
        held = segmenter.hysteresis
        if (held.margin if held else 0) != self.hysteresis:
            segmenter.hysteresis = (
                Hysteresis(decider, self.hysteresis) if self.hysteresis else None
            )
