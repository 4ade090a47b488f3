"""Which ranges of a remote file share a request, and which requests are sent together.

`fsspec.utils.merge_offset_ranges` forms the same requests of ranges that do not overlap, but does
not say which range is in which request.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from colintern.streams import packed

Range = tuple[int, int]  # from a start up to an end, in bytes

_GAP_BYTES = 2**20  # about what S3 sends while one more request would wait for its answer
_REQUEST_BYTES = 16 * 2**20  # more bytes come faster in two requests at a time
BYTES_AT_ONCE = 64 * 2**20


@dataclass(frozen=True)
class Request:
    """One read of a file, and the sorted ranges that are cut out of it."""

    ranges: tuple[Range, ...]

    @property
    def start(self) -> int:
        """The first byte to read."""
        return self.ranges[0][0]

    @property
    def end(self) -> int:
        """The first byte not to read."""
        return max(end for _, end in self.ranges)

    def cut(self, data: bytes) -> dict[Range, bytes]:
        """What stands in each range, from all that was read."""
        first = self.start
        return {(start, end): data[start - first : end - first] for start, end in self.ranges}


def batches_of_requests(ranges: Iterable[Range]) -> Iterator[list[Request]]:
    """Requests to send at one time: at most `BYTES_AT_ONCE` bytes, or one larger request."""
    return packed(_requests(ranges), lambda request: request.end - request.start, BYTES_AT_ONCE)


def _requests(ranges: Iterable[Range]) -> Iterator[Request]:
    """Ranges that are near each other share a request; a range is never divided."""
    near: list[Range] = []
    for start, end in sorted(set(ranges)):
        is_near = near and start - near[-1][1] <= _GAP_BYTES and end - near[0][0] <= _REQUEST_BYTES
        if near and not is_near:
            yield Request(tuple(near))
            near = []
        near.append((start, end))
    if near:
        yield Request(tuple(near))
