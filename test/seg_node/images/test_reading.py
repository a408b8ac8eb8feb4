"""Compressed pictures: whole, upright, of a size that is looked at before memory is taken."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from seg_node.children import child_environment
from seg_node.errors import FrameError, InputError
from seg_node.images.frames import decode_compressed
from seg_node.images.headers import read_header
from seg_node.images.reading import decode_picture, read_bgr

PICTURE = np.zeros((40, 60, 3), np.uint8)
PICTURE[:20, :30] = (0, 0, 250)  # red, upper left
PICTURE[:20, 30:] = (0, 250, 0)  # green, upper right
PICTURE[20:, :30] = (250, 0, 0)  # blue, lower left


def coded(suffix: str, picture: np.ndarray = PICTURE) -> bytes:
    return bytes(cv2.imencode(suffix, picture)[1])


def exif(orientation: int, order: str = '<') -> bytes:
    start = b'II*\0' if order == '<' else b'MM\0*'
    entry = struct.pack(order + 'HHIHH', 274, 3, 1, orientation, 0)
    return start + struct.pack(order + 'IH', 8, 1) + entry + bytes(4)


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))


def with_exif(suffix: str, data: bytes, orientation: int) -> bytes:
    if suffix == '.jpg':
        body = b'Exif\0\0' + exif(orientation, '>')
        return data[:2] + b'\xff\xe1' + struct.pack('>H', len(body) + 2) + body + data[2:]
    if suffix == '.png':
        return data[:33] + png_chunk(b'eXIf', exif(orientation)) + data[33:]
    width, height = PICTURE.shape[1] - 1, PICTURE.shape[0] - 1
    extended = b'\x08\0\0\0' + width.to_bytes(3, 'little') + height.to_bytes(3, 'little')
    chunks = b'VP8X' + struct.pack('<I', 10) + extended + data[12:]
    tags = exif(orientation)
    chunks += b'EXIF' + struct.pack('<I', len(tags)) + tags + b'\0' * (len(tags) & 1)
    return b'RIFF' + struct.pack('<I', len(chunks) + 4) + b'WEBP' + chunks


# What EXIF 2.3 says of each value, done by numpy: the stored picture to the upright one.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp'])
@pytest.mark.parametrize('orientation', sorted(UPRIGHT))
def test_every_kind_is_turned_upright(suffix, orientation, tmp_path):
    path = tmp_path / f'a{suffix}'
    path.write_bytes(with_exif(suffix, coded(suffix), orientation))
    found = read_bgr(path)
    expected = UPRIGHT[orientation](PICTURE)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 8
    message = SimpleNamespace(format=suffix, data=path.read_bytes())
    assert decode_compressed(message).pixels.shape == PICTURE.shape  # as camera_info has it


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.tiff'])
def test_headers_say_the_size(suffix):
    header = read_header(coded(suffix))
    assert (header.size, header.whole, header.orientation) == ((60, 40), True, 1)


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp'])
@pytest.mark.parametrize('share', [0.3, 0.6, 0.95])
def test_what_is_cut_off_is_refused_in_files_and_messages(suffix, share, tmp_path):
    noise = np.random.default_rng(1).integers(0, 255, (80, 90, 3), np.uint8)
    data = coded(suffix, noise)
    cut = data[: int(len(data) * share)]
    path = tmp_path / f'cut{suffix}'
    path.write_bytes(cut)
    with pytest.raises(InputError, match='is cut off'):
        read_bgr(path)
    with pytest.raises(FrameError, match='is cut off') as error:
        decode_compressed(SimpleNamespace(format='jpeg', data=cut))
    assert error.value.cause == 'truncated'


@pytest.mark.parametrize('tail', [b'\0' * 1000, b'\0' * 40_000, b'\xff' * 70, b'GPS ' * 100])
def test_what_a_camera_appends_to_a_jpeg_is_no_loss(tail):
    data = coded('.jpg') + tail
    whole = decode_compressed(SimpleNamespace(format='jpeg', data=data))
    np.testing.assert_array_equal(whole.pixels, cv2.imdecode(np.frombuffer(data, np.uint8), 1))


def test_the_end_of_an_exif_preview_is_not_the_end_of_the_picture(tmp_path):
    preview = b'Exif\0\0' + exif(1) + coded('.jpg', PICTURE[::4, ::4])
    data = coded('.jpg')
    data = data[:2] + b'\xff\xe1' + struct.pack('>H', len(preview) + 2) + preview + data[2:]
    assert read_header(data).whole
    assert not read_header(data[: data.rfind(b'\xff\xda') + 30]).whole


def bomb(suffix: str) -> bytes:
    """30000 x 30000 in few bytes."""
    if suffix == '.png':
        body = struct.pack('>IIBBBBB', 30000, 30000, 8, 0, 0, 0, 0)
        rows = zlib.compress(bytes(30001 * 100))
        return (
            b'\x89PNG\r\n\x1a\n'
            + png_chunk(b'IHDR', body)
            + png_chunk(b'IDAT', rows)
            + png_chunk(b'IEND', b'')
        )
    data = bytearray(coded(suffix))
    if suffix == '.jpg':
        at = data.index(b'\xff\xc0') + 5
        data[at : at + 4] = struct.pack('>HH', 30000, 30000)
    else:
        at = data.index(struct.pack('<HHIHH', 256, 3, 1, 60, 0)) + 8
        data[at : at + 4] = struct.pack('<I', 30000)
        at = data.index(struct.pack('<HHIHH', 257, 3, 1, 40, 0)) + 8
        data[at : at + 4] = struct.pack('<I', 30000)
    return bytes(data)


def tiff_entries(*entries: tuple[int, int, int, int]) -> bytes:
    parts = (struct.pack('<HHII', *entry) for entry in sorted(entries, key=lambda e: e[0]))
    return b'II*\0' + struct.pack('<IH', 8, len(entries)) + b''.join(parts) + bytes(104)


GIF = b'GIF89a\x30\x75\x30\x75\x80\0\0' + bytes(6) + b',\0\0\0\0\x30\x75\x30\x75\0\2\2D\1\0;'
HUGE = {
    'bmp': b'BM' + bytes(12) + struct.pack('<IiiHH', 40, 30000, -30000, 1, 24) + bytes(200),
    'ppm': b'P6 # 1 1\n30000\n30000 255\n' + bytes(200),
    # Of a tag that is there twice libtiff takes the first.
    'tiff': tiff_entries((256, 4, 1, 30000), (256, 4, 1, 3), (257, 4, 1, 30000), (257, 4, 1, 3)),
}


@pytest.mark.parametrize('kind', HUGE)
def test_a_huge_size_of_any_kind_is_refused(kind):
    with pytest.raises(FrameError, match='30000x30000: expected at most 128 megapixels'):
        decode_picture('bomb', HUGE[kind])


@pytest.mark.parametrize(
    ('data', 'said'),
    [
        (GIF, 'got something else'),  # 30000x30000 in 58 bytes: OpenCV takes 7 GB and a minute
        (b'P7\nWIDTH 9\nHEIGHT 9\nENDHDR\n' + bytes(99), 'got something else'),
        (tiff_entries((256, 9, 1, 9), (257, 9, 1, 9)), 'got TIFF without a size'),
    ],
)
def test_what_does_not_say_its_size_is_not_decoded(data, said):
    with pytest.raises(FrameError, match=said):
        decode_picture('bomb', data)


@pytest.mark.parametrize('suffix', ['.bmp', '.ppm', '.pgm', '.tiff'])
def test_kinds_without_a_size_limit_of_their_own_are_read(suffix):
    picture = PICTURE[..., 0] if suffix == '.pgm' else PICTURE
    pixels, header = decode_picture('a', coded(suffix, picture))
    assert header.size == (60, 40) and pixels.shape == (40, 60, 3)
    np.testing.assert_array_equal(pixels[..., 0], PICTURE[..., 0])


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.tiff'])
def test_a_huge_size_is_refused_before_memory_is_taken(suffix, tmp_path):
    path = tmp_path / f'bomb{suffix}'
    path.write_bytes(bomb(suffix))
    # In a process that may take 1 GiB more: allocating 2.7 GB would end it in another way.
    code = (
        'import sys, cv2; from pathlib import Path\n'
        'from seg_node.images.reading import read_bgr\n'
        'from seg_node.errors import InputError\n'
        'try:\n    read_bgr(Path(sys.argv[1]))\n'
        'except InputError as error:\n    print(error)\n'
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))

    done = subprocess.run(
        [sys.executable, '-c', code, str(path)],
        capture_output=True, text=True, env=child_environment(OPENBLAS_NUM_THREADS='1'),
        preexec_fn=limit, check=False,
    )  # fmt: skip
    assert '30000x30000: expected at most 128 megapixels' in done.stdout, done.stderr
    assert not done.stderr


@pytest.mark.parametrize(
    'data', [b'', b'\xff\xd8', b'\xff\xd8\xff', b'RIFF\0\0\0\0WEBP', b'II*\0']
)
def test_scraps_are_refused(data):
    with pytest.raises(FrameError):
        decode_picture('scrap', data)


def test_bytes_changed_at_random_never_raise_anything_else():
    rng = np.random.default_rng(7)
    for suffix in ('.jpg', '.png', '.webp', '.tiff'):
        whole = np.frombuffer(coded(suffix), np.uint8)
        for _ in range(150):
            data = whole.copy()
            data[rng.integers(0, min(len(data), 200), 4)] = rng.integers(0, 256, 4)
            read_header(data[: rng.integers(1, len(data))].tobytes())
            try:
                decode_picture('damaged', data.tobytes())
            except FrameError as error:
                assert '\n' not in str(error)
