"""A teacher: any model file that the node can run, or an OpenVINO IR, as soft road and marking.

An answer is the mean over the picture and its mirror image: what a network says of one and not of
the other it is not sure of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from seg_node.class_names import meaning
from seg_node.errors import ConfigError, ModelError, last_line
from seg_node.images.frames import Frame
from seg_node.model.loader import default_model, fp32_twin, load_model
from seg_node.model.runner import RunOptions
from seg_node.model.sidecar import Sidecar, read_sidecar
from seg_node.pipeline import Segmenter
from seg_node.signal_stack import kept_signal_stack

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
Planes = Callable[[U8], Sequence[U8]]
"""From a picture uint8 (H, W, 3) BGR to score planes uint8 (H, W) of the foreground classes."""


@dataclass(frozen=True)
class Teacher:
    """A network whose class names say what is road and what is paint on it.

    `exclusive`: its classes exclude each other, so that its road has holes where paint is.
    """

    name: str
    planes: Planes
    names: tuple[str, ...]
    exclusive: bool

    def __post_init__(self) -> None:
        if not any(meaning(name) for name in self.names):
            raise ModelError(
                f'teacher {self.name}: expected a class that is road or lane marking by its name, '
                f'got {", ".join(self.names)}'
            )

    @property
    def knows_markings(self) -> bool:
        """Whether one of its classes is paint."""
        return any(meaning(name) == 'marking' for name in self.names)

    def __call__(self, image: U8) -> U8:
        """Soft planes road (with markings) and marking, uint8 (2, H, W), probability x 255."""
        mirrored = self.once(np.ascontiguousarray(image[:, ::-1]))[..., ::-1]
        mean = (self.once(image).astype(np.uint16) + mirrored + 1) // 2
        return mean.astype(np.uint8)

    def once(self, image: U8) -> U8:
        """The same planes, of the picture as it is alone."""
        road = np.zeros(image.shape[:2], np.float32)
        marking = np.zeros_like(road)
        add = np.add if self.exclusive else np.maximum
        for name, plane in zip(self.names, self.planes(image)):
            part = meaning(name)
            if part == 'marking':
                add(marking, plane, out=marking)
            if part is not None:
                add(road, plane, out=road)
        return np.minimum(np.stack([road, marking]), 255).round().astype(np.uint8)


def open_teacher(path: Path | None = None, sidecar: Path | None = None) -> Teacher:
    """The teacher in a model file; None: the best one that ships.

    An `.onnx` file is run as the node runs it (a foreign one needs its sidecar beside it); an
    OpenVINO IR (`.xml`) takes the same sidecar, `<model>.xml.yaml` or the file `sidecar`. Raises
    `ModelError` and `ConfigError`.
    """
    path = path or shipped_teacher()
    if path.suffix == '.xml':
        return _ir_teacher(path, sidecar or path.with_name(path.name + '.yaml'))
    if sidecar is not None:
        raise ConfigError(f'--sidecar: belongs to an .xml file; of {path} it is {path.name}.yaml')
    runner = load_model(path, RunOptions(precision='fp32', pin=False)).runner
    segmenter = Segmenter(runner)

    def planes(image: U8) -> Sequence[U8]:
        planes = segmenter(Frame(image, 'bgr')).planes
        if not planes:
            raise ModelError(f'teacher {path}: has no scores, only a mask; expected soft answers')
        return planes

    spec = runner.spec
    return Teacher(path.stem, planes, spec.classes.names[1:], spec.head == 'softmax')


def shipped_teacher() -> Path:
    """The most accurate float file that ships: the large model's, else the default one's."""
    default = default_model()
    large = default.with_name('lane_base_fp32.onnx')
    return next((path for path in (large, fp32_twin(default)) if path.is_file()), default)


def _ir_teacher(path: Path, sidecar_path: Path) -> Teacher:
    import openvino as ov

    if not sidecar_path.is_file():
        raise ModelError(f'{path}: expected its description in {sidecar_path}, no such file')
    sidecar = read_sidecar(sidecar_path)
    if sidecar.head not in ('softmax', 'probabilities') or sidecar.resize != 'stretch':
        raise ModelError(
            f'{sidecar_path}: of an IR expected head softmax or probabilities and resize stretch, '
            f'got {sidecar.head}, {sidecar.resize}'
        )
    try:
        with kept_signal_stack():
            compiled = ov.Core().compile_model(str(path), 'CPU')
    except RuntimeError as error:
        reason = last_line(error)
        raise ModelError(f'{path}: not a readable OpenVINO IR: {reason[:160]}') from None
    shape = [int(n) for n in compiled.input(0).shape]
    height, width = shape[2:] if sidecar.layout == 'nchw' else shape[1:3]
    names = tuple(c.name for c in sidecar.classes)

    def planes(image: U8) -> Sequence[U8]:
        answer = compiled(_prepared(image, (width, height), sidecar))[compiled.output(0)]
        values = _probabilities(np.asarray(answer, np.float32), sidecar)
        if len(values) != len(names):
            raise ModelError(f'{path}: {len(values)} classes, its description has {len(names)}')
        size = (image.shape[1], image.shape[0])
        rounded = np.round(values[1:] * 255).astype(np.uint8)
        return [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in rounded]

    return Teacher(path.stem, planes, names[1:], exclusive=True)


def _prepared(image: U8, size: tuple[int, int], sidecar: Sidecar) -> F32:
    """The input of the network, float32 (1, 3, h, w) or (1, h, w, 3), from uint8 (H, W, 3) BGR."""
    shrinks = image.shape[1] > size[0]
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    ordered = small[..., ::-1] if sidecar.colour_order == 'rgb' else small
    x = ordered.astype(np.float32) / np.float32(sidecar.scale)
    x = (x - np.array(sidecar.mean, np.float32)) / np.array(sidecar.std, np.float32)
    return np.ascontiguousarray(x.transpose(2, 0, 1) if sidecar.layout == 'nchw' else x)[None]


def _probabilities(answer: F32, sidecar: Sidecar) -> F32:
    """float32 (C, h, w) of 0..1."""
    values = answer[0] if sidecar.layout == 'nchw' else answer[0].transpose(2, 0, 1)
    if sidecar.head == 'softmax':
        shifted = np.exp(values - values.max(0))
        values = shifted / shifted.sum(0)
    probabilities: F32 = np.clip(values, 0, 1)
    return probabilities
