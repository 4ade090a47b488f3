"""Which frames of a TIFF are pages; and their grey values as they are meant.

A TIFF may hold smaller copies of a page (overviews, thumbnails) and masks of it beside the page.
The chain of directories is read here and not by Pillow, which ends at the first frame whose pixels
it does not know, as those of a mask.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from PIL import TiffImagePlugin
from PIL.TiffImagePlugin import TiffImageFile

_NEW_SUBFILE_TYPE, _OLD_SUBFILE_TYPE, _PHOTOMETRIC = 254, 255, 262
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_OLD_REDUCED = 2  # SubfileType as it was before TIFF 6.0
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _MASK_PIXELS = 0, 1, 4  # PhotometricInterpretation
_DEEP_MODES = ("I", "I;16", "I;16B", "F")
_BIG_TIFF = 43
# How libtiff's samples are unpacked, by how Pillow would: it takes them for those of the file, but
# they come in the byte order of the machine.
_NATIVE = {
    "I;16S": "I;16NS",
    "I;16BS": "I;16NS",
    "I;32S": "I;32NS",
    "I;32BS": "I;32NS",
    "F;32F": "F;32NF",
    "F;32BF": "F;32NF",
}
_NUMBERS = {1: "B", 3: "H", 4: "L", 16: "Q"}  # the types of whole numbers, as struct names them


def page_frames(file: BinaryIO) -> Iterator[int]:
    """The numbers (from 0) of the frames that are pages; all frames when none is marked as one.

    Raises:
        OSError, struct.error: the chain of frames is damaged; what stands before is given.
    """
    number, has_page = -1, False
    for number, tags in enumerate(_directories(file)):
        if _is_page(tags):
            has_page = True
            yield number
    if not has_page:
        yield from range(number + 1)


def unpack_natively(image: TiffImageFile) -> None:
    """Let a packed frame's samples be read in their byte order, before its pixels are read."""
    tiles = []
    for tile in image.tile:
        args = tile.args
        if tile.codec_name == "libtiff" and isinstance(args, tuple):
            args = (_NATIVE.get(args[0], args[0]), *args[1:])
        tiles.append(tile._replace(args=args))
    image.tile = tiles


def open_white_is_zero() -> None:
    """Let Pillow open all deep grey with white as zero that it opens with black as zero.

    It does not invert such values, nor must it: `grey.py` does.
    """
    kinds = TiffImagePlugin.OPEN_INFO
    for (order, photometric, *rest), modes in list(kinds.items()):
        if photometric == _BLACK_IS_ZERO and modes[0] in _DEEP_MODES:
            kinds.setdefault((order, _WHITE_IS_ZERO, *rest), modes)


def _is_page(tags: dict[int, int]) -> bool:
    kind = tags.get(_NEW_SUBFILE_TYPE)
    if kind is None:
        is_reduced = tags.get(_OLD_SUBFILE_TYPE) == _OLD_REDUCED
    else:
        is_reduced = bool(kind & (_REDUCED | _MASK))
    return not is_reduced and tags.get(_PHOTOMETRIC) != _MASK_PIXELS


def _directories(file: BinaryIO) -> Iterator[dict[int, int]]:
    """The tags of each frame whose value is one whole number that stands in its entry."""
    file.seek(0)
    header = file.read(16)
    order = ">" if header[:2] == b"MM" else "<"
    is_big = _BIG_TIFF in header[2:4]
    entry = struct.Struct(order + ("HHQ8s" if is_big else "HHL4s"))
    count = struct.Struct(order + ("Q" if is_big else "H"))
    link = struct.Struct(order + ("Q" if is_big else "L"))
    (offset,) = link.unpack_from(header, 8 if is_big else 4)
    seen = set()
    while offset and offset not in seen:
        seen.add(offset)
        file.seek(offset)
        (num_entries,) = count.unpack(file.read(count.size))
        tags = {}
        for _ in range(num_entries):
            tag, kind, num_values, value = entry.unpack(file.read(entry.size))
            if num_values == 1 and kind in _NUMBERS:
                (tags[tag],) = struct.unpack_from(order + _NUMBERS[kind], value)
        yield tags
        (offset,) = link.unpack(file.read(link.size))
