"""Which pieces of remote files share a request, and which requests are sent together.

`fsspec.utils.merge_offset_ranges` forms the same requests of ranges that do not overlap, but does
not say which range is in which request.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from colintern.streams import packed


class Piece(NamedTuple):
    """A part of a file, from the byte `start` up to `end`."""

    path: str
    start: int
    end: int

    @property
    def num_bytes(self) -> int:
        """How long it is."""
        return self.end - self.start


_GAP_BYTES = 2**20  # about what S3 sends while one more request would wait for its answer
_REQUEST_BYTES = 16 * 2**20  # more bytes come faster in two requests at a time
BYTES_AT_ONCE = 64 * 2**20


@dataclass(frozen=True)
class Request:
    """One read of a file, and the sorted pieces that are cut out of it."""

    pieces: tuple[Piece, ...]

    @property
    def path(self) -> str:
        """The file."""
        return self.pieces[0].path

    @property
    def start(self) -> int:
        """The first byte to read."""
        return self.pieces[0].start

    @property
    def end(self) -> int:
        """The first byte not to read."""
        return max(piece.end for piece in self.pieces)

    def cut(self, data: bytes) -> dict[Piece, bytes]:
        """What stands in each piece, from all that was read."""
        first = self.start
        return {piece: data[piece.start - first : piece.end - first] for piece in self.pieces}


def batches_of_requests(pieces: Iterable[Piece]) -> Iterator[list[Request]]:
    """Requests to send at one time: at most `BYTES_AT_ONCE` bytes, or one larger request."""
    return packed(_requests(pieces), lambda request: request.end - request.start, BYTES_AT_ONCE)


def _requests(pieces: Iterable[Piece]) -> Iterator[Request]:
    """Pieces of a file that are near each other share a request; a piece is never divided."""
    near: list[Piece] = []
    for piece in sorted(set(pieces)):
        if near and not _is_near(piece, near):
            yield Request(tuple(near))
            near = []
        near.append(piece)
    if near:
        yield Request(tuple(near))


def _is_near(piece: Piece, near: list[Piece]) -> bool:
    return (
        piece.path == near[0].path
        and piece.start - near[-1].end <= _GAP_BYTES
        and piece.end - near[0].start <= _REQUEST_BYTES
    )
