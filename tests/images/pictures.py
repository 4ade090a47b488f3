"""Image files that no library here writes: TIFFs and PNGs by their tags, colour profiles."""

import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from PIL import Image

Values = int | float | bytes | Sequence[int]

RATIONALS, LONGS = (282, 283), (254, 273, 279)  # tags whose values are of these types, not SHORT
D50 = (0.9642, 1.0, 0.8249)
# Red, green and blue of a wider space than sRGB (about Adobe RGB's), adapted to D50.
WIDE = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    """An image as a file of some kind."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(*frames: tuple[np.ndarray, Mapping[int, Values]], order: Literal["<", ">"] = "<") -> bytes:
    """A TIFF of one raw strip a frame, with just these tags beside those of size and offset."""
    data = bytearray((b"II*\0" if order == "<" else b"MM\0*") + bytes(4))
    link = 4
    for pixels, tags in frames:
        swapped = pixels.astype(pixels.dtype.newbyteorder(order))
        strip = len(data)
        data += swapped.tobytes() + bytes(swapped.nbytes % 2)
        height, width = pixels.shape[:2]
        samples = pixels.shape[2] if pixels.ndim == 3 else 1
        given = {
            256: width,
            257: height,
            258: [8 * pixels.itemsize] * samples,
            273: strip,
            277: samples,
            278: height,
            279: swapped.nbytes,
            **tags,
        }
        entries = bytearray()
        for tag, value in sorted(given.items()):
            values = list(value) if isinstance(value, bytes | Sequence) else [value]
            if isinstance(value, bytes):
                kind, packed = 7, value
            elif tag in RATIONALS:
                kind, packed = 5, struct.pack(order + "2L", int(values[0] * 100), 100)
            else:
                kind, code = (4, "L") if tag in LONGS else (3, "H")
                packed = struct.pack(f"{order}{len(values)}{code}", *values)
            if len(packed) > 4:
                offset = len(data)
                data += packed + bytes(len(packed) % 2)
                packed = struct.pack(order + "L", offset)
            entries += struct.pack(order + "HHL", tag, kind, len(values)) + packed.ljust(4, b"\0")
        struct.pack_into(order + "L", data, link, len(data))
        data += struct.pack(order + "H", len(given)) + entries
        link = len(data)
        data += bytes(4)
    return bytes(data)


def packed_tiff(
    pixels: np.ndarray, tags: Mapping[int, Values], order: Literal["<", ">"] = "<"
) -> bytes:
    """A TIFF of one frame of grey values, packed by deflate."""
    raw = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    height, width = pixels.shape
    size = {256: width, 257: height, 258: [8 * pixels.itemsize], 278: height, 259: 8}
    strip = np.frombuffer(zlib.compress(raw), np.uint8)[None]
    return tiff((strip, {**size, **tags}), order=order)


def png(
    pixels: np.ndarray,
    before: Sequence[tuple[bytes, bytes]] = (),
    after: Sequence[tuple[bytes, bytes]] = (),
    bits: int | None = None,
) -> bytes:
    """A PNG of grey or RGB samples with chunks before and behind the pixels.

    Args:
        pixels: [height, width] or [height, width, 3], uint8 or uint16; with `bits` under 8 packed.
        before: chunks of kind and data.
        after: the same.
        bits: of a sample; those of the array by default.
    """
    height, width = pixels.shape[:2]
    bits = bits or 8 * pixels.itemsize
    rows = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(height, -1)
    if bits < 8:
        ones = np.unpackbits(pixels[..., None], axis=-1)[..., -bits:].reshape(height, -1)
        rows = np.packbits(ones, axis=-1)
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, bits, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    chunks = [(b"IHDR", header), *before, (b"IDAT", zlib.compress(body)), *after, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def exif(orientation: int, **resolution: float) -> Image.Exif:
    """EXIF of an orientation, and of a resolution along `x` and `y`."""
    tags = Image.Exif()
    tags[274] = orientation
    for tag, name in ((282, "x"), (283, "y")):
        if name in resolution:
            tags[tag] = resolution[name]
    return tags


def rgb_profile(gamma: float, primaries: Sequence[Sequence[float]] = WIDE) -> bytes:
    """A colour profile of RGB by its gamma and the XYZ of its primaries."""
    tags = {f"{name}TRC".encode(): _curve(gamma) for name in "rgb"}
    tags |= {
        f"{name}XYZ".encode(): _xyz(value) for name, value in zip("rgb", primaries, strict=True)
    }
    return _profile(b"RGB ", b"XYZ ", tags)


def grey_profile(gamma: float) -> bytes:
    """A colour profile of grey by its gamma."""
    return _profile(b"GRAY", b"XYZ ", {b"kTRC": _curve(gamma)})


def cmyk_profile() -> bytes:
    """A profile of a press whose inks are all the same grey: L* is 100 less 20 for each of four."""
    inks = np.indices((2, 2, 2, 2)).reshape(4, -1).sum(axis=0)
    lightness = np.rint((100 - 20 * inks) * 2.55).astype(np.uint8)
    table = np.stack([lightness, np.full(16, 128, np.uint8), np.full(16, 128, np.uint8)], axis=1)
    line = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
    lut += struct.pack(">9i", *(65_536 if index % 4 == 0 else 0 for index in range(9)))
    return _profile(b"CMYK", b"Lab ", {b"A2B0": lut + line * 4 + table.tobytes() + line * 3})


def _curve(gamma: float) -> bytes:
    return b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256))


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ " + struct.pack(">I3i", 0, *(round(value * 65_536) for value in values))


def _profile(space: bytes, between: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile, version 2.4 of a device for output or display."""
    tags = {b"wtpt": _xyz(D50), **tags}
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    size = struct.pack(">I", 128 + len(table) + len(body))
    header = size + bytes(4) + struct.pack(">I", 0x02400000) + kind + space + between
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += struct.pack(">3i", *(round(value * 65_536) for value in D50))
    return header.ljust(128, b"\0") + table + body
