"""Lane markings painted onto photos of real roads: labels that are exact by construction."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from seg_node_training.data.targets import UNKNOWN

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]


KINDS = ('arrow', 'word', 'crossing', 'stop', 'hatch')
SHARES = (0.16, 0.1, 0.52, 0.1, 0.12)


@dataclass(frozen=True)
class PaintGround:
    """A flat road seen by a pinhole camera.

    `lateral`, `ahead`: float32 (h, W) and (h, 1), metres, of the rows from `top` down;
    `pixels_per_metre`: float32 (h, 1).
    """

    top: int
    lateral: F32
    ahead: F32
    pixels_per_metre: F32


def guess_ground(road: npt.NDArray[np.bool_], rng: np.random.Generator) -> PaintGround | None:
    """A plausible ground plane for a road of shape bool (H, W); None where it shows too little.

    The vanishing point is put at the top end of the road region; camera height, focal length and
    aspect are drawn at random: the lines need to look right, not to be measured.
    """
    height, width = road.shape
    per_row = road.sum(1)
    rows = np.flatnonzero(per_row > 0.015 * width)
    if len(rows) < 0.2 * height or per_row.max() < 0.3 * width:
        return None
    first = int(rows[0])
    apex = np.flatnonzero(road[first : first + 3].any(0))
    centre = float(apex.mean())
    horizon = first - rng.uniform(0.005, 0.04) * height
    focal = rng.uniform(0.6, 1.3) * width
    scale = rng.uniform(0.8, 1.5) / rng.uniform(1.0, 2.0)
    top = first + 1
    below = (np.arange(top, height, dtype=np.float32) - horizon)[:, None]
    pixels_per_metre = (scale * below).astype(np.float32)
    columns = np.arange(width, dtype=np.float32)[None]
    lateral = (columns - centre) / pixels_per_metre
    ahead = (focal / pixels_per_metre).astype(np.float32)
    return PaintGround(top, lateral, ahead, pixels_per_metre)


def _line(
    ground: PaintGround, bent: F32, offset: float, width: float, period: float, fill: float
) -> F32:
    """Coverage 0..1 (h, W) of a line `width` metres wide at `offset` metres; dashed by `fill`."""
    cover = (width / 2 - np.abs(bent - offset)) * ground.pixels_per_metre + 0.5
    if fill < 1:
        cover = cover * ((ground.ahead / period) % 1 < fill)
    widest = np.minimum(1, width * ground.pixels_per_metre)
    line: F32 = np.clip(cover, 0, widest).astype(np.float32)
    return line


def _lines(ground: PaintGround, rng: np.random.Generator) -> F32:
    """Coverage of a set of parallel, maybe curved and dashed lines."""
    bend = rng.normal(0, 0.0006) if rng.random() < 0.4 else 0.0
    skew = rng.normal(0, 0.03)
    bent = ground.lateral - np.float32(bend) * ground.ahead**2 - np.float32(skew) * ground.ahead
    lane = rng.uniform(2.6, 3.9)
    first = -rng.uniform(0.2, 0.8) * lane - lane
    cover = np.zeros(ground.lateral.shape, np.float32)
    for number in range(int(rng.integers(2, 5))):
        if rng.random() < 0.25:
            continue
        offset, width = first + number * lane, rng.uniform(0.09, 0.22)
        fill = 1.0 if rng.random() < 0.45 else rng.uniform(0.25, 0.7)
        period = rng.uniform(3, 13)
        cover = np.maximum(cover, _line(ground, bent, offset, width, period, fill))
        if rng.random() < 0.2:
            beside = offset + width + rng.uniform(0.08, 0.25)
            cover = np.maximum(cover, _line(ground, bent, beside, width, period, 1.0))
    return cover


def _symbol(ground: PaintGround, rng: np.random.Generator) -> F32:
    """Coverage of one thing seen from above: arrow, word, crossing, stop line or hatching."""
    metres_across, metres_along, per_metre = 12.0, 24.0, 20
    board = np.zeros((int(metres_along * per_metre), int(metres_across * per_metre)), np.uint8)
    rows, columns = board.shape
    kind = rng.choice(KINDS, p=SHARES)
    x, y = rng.uniform(0.25, 0.75) * columns, rng.uniform(0.3, 1.0) * rows
    if kind == 'arrow':
        shaft, length, head = rng.uniform(2, 4), rng.uniform(40, 90), rng.uniform(8, 16)
        tip = y - length
        points = [(x - shaft, y), (x - shaft, tip + head * 2), (x - head, tip + head * 2)]
        points += [(x, tip), (x + head, tip + head * 2), (x + shaft, tip + head * 2)]
        points += [(x + shaft, y)]
        cv2.fillPoly(board, [np.array(points, np.int32)], 255)
    elif kind == 'word':
        text = ''.join(rng.choice(list('ABCDEHKLNOPRSTUXZ0123456789'), int(rng.integers(2, 5))))
        size = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.4, 5)[0]
        patch = np.zeros((size[1] + 12, size[0] + 12), np.uint8)
        cv2.putText(patch, text, (6, size[1] + 6), cv2.FONT_HERSHEY_SIMPLEX, 1.4, 255, 5)
        patch = cv2.resize(patch, None, fx=0.6, fy=rng.uniform(1, 2.2))
        top, left = int(y) - patch.shape[0], int(x) - patch.shape[1] // 2
        top, left = max(0, top), max(0, min(left, columns - patch.shape[1]))
        part = board[top : top + patch.shape[0], left : left + patch.shape[1]]
        part[:] = patch[: part.shape[0], : part.shape[1]]
    elif kind == 'crossing':
        bar, gap, length = rng.uniform(6, 14), rng.uniform(6, 16), rng.uniform(35, 90)
        for start in np.arange(rng.uniform(0, 20), columns, bar + gap):
            corner = (int(start), int(y - length))
            cv2.rectangle(board, corner, (int(start + bar), int(y)), 255, -1)
    elif kind == 'stop':
        thick = rng.uniform(4, 10)
        cv2.rectangle(board, (int(x - 60), int(y - thick)), (int(x + 60), int(y)), 255, -1)
    else:
        for start in np.arange(y - 90, y, rng.uniform(14, 28)):
            ends = [(int(x), int(start)), (int(x + 30), int(start + rng.uniform(10, 30)))]
            cv2.line(board, ends[0], ends[1], 255, int(rng.integers(3, 8)))
    board = cv2.GaussianBlur(board, (0, 0), 1.0)
    # The board begins a little before what the camera sees: near crossings fill the bottom.
    near = float(ground.ahead.min()) - 2.0
    map_x = (ground.lateral + metres_across / 2) * per_metre
    map_y = np.broadcast_to((metres_along + near - ground.ahead) * per_metre, map_x.shape)
    seen = cv2.remap(board, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_LINEAR)
    share: F32 = seen.astype(np.float32) / 255
    return share


def _colour(rng: np.random.Generator) -> F32:
    """BGR gains of a paint: mostly white, else yellow, seldom orange, blue or green tape."""
    kind = rng.random()
    if kind < 0.62:
        base = np.array([1.0, 1.0, 1.0])
    elif kind < 0.93:
        base = np.array([rng.uniform(0.2, 0.6), rng.uniform(0.75, 0.95), 1.0])
    else:
        base = rng.uniform(0.2, 1.0, 3)
    return (base * rng.uniform(0.95, 1.05, 3)).astype(np.float32)


def paint_markings(image: U8, target: U8, rng: np.random.Generator) -> tuple[U8, U8]:
    """Paint random markings onto the road of `image`.

    `image`: uint8 (H, W, 3) BGR; `target`: uint8 (2, H, W), planes road and lane marking, with
    0..254 probability and 255 unknown. Returns new arrays; the same ones where the road is too
    small to carry a line. Paint is an albedo, so it multiplies the light that the asphalt shows:
    shadows and texture stay, worn paint lets the ground through.
    """
    road = (target[0] > 200) & (target[0] != UNKNOWN)
    ground = guess_ground(road, rng)
    if ground is None:
        return image, target
    cover = _lines(ground, rng)
    if rng.random() < 0.5:
        cover = np.maximum(cover, _symbol(ground, rng))
    cover *= road[ground.top :]
    height, width = cover.shape
    worn = rng.random((max(2, height // 12), max(2, width // 12)), dtype=np.float32)
    worn = cv2.resize(worn, (width, height), interpolation=cv2.INTER_CUBIC)
    strength = np.clip(rng.uniform(0.75, 1.3) - rng.uniform(0, 0.6) * worn, 0.25, 1.0)
    grey = cv2.cvtColor(image[ground.top :], cv2.COLOR_BGR2GRAY)
    light = cv2.addWeighted(grey, 0.35, cv2.blur(grey, (31, 31)), 0.65, 6)
    gain = np.exp(rng.uniform(np.log(1.15), np.log(2.6))) * _colour(rng)
    # Only where there is paint, which is a few hundredths of the picture.
    where = cover > 0
    alpha = (cover[where] * strength[where])[:, None]
    part = image[ground.top :][where].astype(np.float32)
    paint = light[where].astype(np.float32)[:, None] * gain
    painted = image.copy()
    blended = np.clip(part + alpha * (paint - part), 0, 255)
    painted[ground.top :][where] = blended.astype(np.uint8)
    labelled = target.copy()
    lane = labelled[1, ground.top :]
    lane[(cover > 0.2) & (cover < 0.5)] = UNKNOWN
    lane[cover >= 0.5] = 254
    return painted, labelled
