"""What a compressed picture says of itself before it is decoded: size, orientation, an end.

A file of 109 kB can announce 30000x30000 pixels, which decoders allocate before they look at a
row; a JPEG that is cut off comes out of OpenCV 4 with a grey rest; only some builds of OpenCV
apply the EXIF orientation of WebP and PNG. So the few bytes that matter are read here: ITU-T T.81
(JPEG), PNG (ISO/IEC 15948), WebP's RIFF container (RFC 9649), TIFF 6.0, EXIF 2.3, Windows bitmaps
and Netpbm's six. Other formats are left alone: OpenCV takes 7 GB and a minute for a GIF of 58
bytes.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

_PNG = b'\x89PNG\r\n\x1a\n'
_SOF = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SOS, _APP1 = 0xDA, 0xE1
_ORIENTATION, _WIDTH, _HEIGHT = 274, 256, 257
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
_NETPBM = re.compile(rb'P[1-6](?:\s|#[^\n]*\n)+(\d{1,10})(?:\s|#[^\n]*\n)+(\d{1,10})')
KINDS = {
    'jpeg': 'JPEG',
    'png': 'PNG',
    'webp': 'WebP',
    'tiff': 'TIFF',
    'bmp': 'BMP',
    'netpbm': 'Netpbm',
}
"""Formats that are read, and what people call them."""


@dataclass(frozen=True)
class Header:
    """`kind`: a key of `KINDS`; empty for anything else.

    `size`: (width, height) announced, as numbers of the file; None where it could not be read.
    `orientation`: EXIF's 1 to 8, 1 = upright. `whole`: whether the end of the picture is there.
    """

    kind: str = ''
    size: tuple[int, int] | None = None
    orientation: int = 1
    whole: bool = True

    @property
    def pixels(self) -> int:
        """Pixels announced; 0 where that is not known."""
        return self.size[0] * self.size[1] if self.size else 0

    def __str__(self) -> str:
        name = KINDS.get(self.kind, '')
        return f'{name} of {self.size[0]}x{self.size[1]}' if self.size else name or 'picture'


def read_header(data: bytes | memoryview) -> Header:
    """The header of a compressed picture's bytes; never raises."""
    view = bytes(data[:16])
    try:
        if view[:2] == b'\xff\xd8':
            return _jpeg(bytes(data))
        if view[:8] == _PNG:
            return _png(bytes(data))
        if view[:4] == b'RIFF' and view[8:12] == b'WEBP':
            return _webp(bytes(data))
        if view[:4] in (b'II*\0', b'MM\0*'):
            tags = _tiff_tags(bytes(data))
            known = _WIDTH in tags and _HEIGHT in tags
            size = (tags[_WIDTH], tags[_HEIGHT]) if known else None
            return Header('tiff', size, _upright(tags))
        if view[:2] == b'BM':
            return _bmp(bytes(data[:26]))
        if match := _NETPBM.match(bytes(data[:4096])):
            return Header('netpbm', (int(match[1]), int(match[2])))
    except (struct.error, IndexError):
        return Header(whole=False)
    return Header()


def _jpeg(data: bytes) -> Header:
    size: tuple[int, int] | None = None
    orientation = 1
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            at = data.find(b'\xff', at)
            if at < 0:
                break
            continue
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _BARE:
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], 'big')
        body = at + 4
        if marker in _SOF:
            height, width = struct.unpack_from('>HH', data, body + 1)
            size = width, height
        elif marker == _APP1 and data[body : body + 6] == b'Exif\0\0':
            orientation = _upright(_tiff_tags(data[body + 6 : at + 2 + length]))
        elif marker == _SOS:
            # Coded data has no 0xFFD9 of its own (T.81 B.1.1.5); what a camera appends is no loss.
            return Header('jpeg', size, orientation, data.rfind(b'\xff\xd9', body) >= 0)
        at += 2 + max(2, length)
    return Header('jpeg', size, orientation, whole=False)


def _png(data: bytes) -> Header:
    width, height = struct.unpack_from('>II', data, 16)
    orientation, at = 1, 8
    while at + 8 <= len(data):
        length, name = int.from_bytes(data[at : at + 4], 'big'), data[at + 4 : at + 8]
        if name == b'eXIf':
            orientation = _upright(_tiff_tags(data[at + 8 : at + 8 + length]))
        if name == b'IEND':
            return Header('png', (width, height), orientation)
        at += 12 + length
    return Header('png', (width, height), orientation, whole=False)


def _webp(data: bytes) -> Header:
    size: tuple[int, int] | None = None
    orientation, at = 1, 12
    end = 8 + int.from_bytes(data[4:8], 'little')
    while at + 8 <= min(end, len(data)):
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], 'little')
        body = data[at + 8 : at + 8 + length]
        if name == b'VP8X':
            size = (
                1 + int.from_bytes(body[4:7], 'little'),
                1 + int.from_bytes(body[7:10], 'little'),
            )
        elif name == b'VP8 ' and size is None:
            width, height = struct.unpack_from('<HH', body, 6)
            size = width & 0x3FFF, height & 0x3FFF
        elif name == b'VP8L' and size is None:
            bits = int.from_bytes(body[1:5], 'little')
            size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        elif name == b'EXIF':
            orientation = _upright(_tiff_tags(body.removeprefix(b'Exif\0\0')))
        at += 8 + length + (length & 1)
    return Header('webp', size, orientation, whole=end <= len(data))


def _bmp(data: bytes) -> Header:
    if struct.unpack_from('<I', data, 14)[0] == 12:  # OS/2's
        return Header('bmp', struct.unpack_from('<HH', data, 18))
    width, height = struct.unpack_from('<ii', data, 18)
    return Header('bmp', (abs(width), abs(height)))  # rows from the top where it is negative


def _tiff_tags(data: bytes) -> dict[int, int]:
    """Numbers of the first directory by tag: short and long ones, their first value.

    Of a tag that is there twice the first one counts, as for libtiff.
    """
    order = {b'II': '<', b'MM': '>'}.get(data[:2])
    if order is None or len(data) < 8:
        return {}
    (at,) = struct.unpack_from(order + 'I', data, 4)
    if at + 2 > len(data):
        return {}
    (count,) = struct.unpack_from(order + 'H', data, at)
    tags: dict[int, int] = {}
    for place in range(at + 2, min(at + 2 + 12 * count, len(data) - 11), 12):
        tag, kind = struct.unpack_from(order + 'HH', data, place)
        if kind in (3, 4) and tag not in tags:
            (tags[tag],) = struct.unpack_from(order + ('H' if kind == 3 else 'I'), data, place + 8)
    return tags


def _upright(tags: dict[int, int]) -> int:
    orientation = tags.get(_ORIENTATION, 1)
    return orientation if 1 <= orientation <= 8 else 1
