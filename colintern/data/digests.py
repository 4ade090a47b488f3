"""SHA-256 hashes in columns: 32 raw bytes each in memory, 64 hexadecimal digits in files.

Shapes: N hashes, as uint8 [N, 32].
"""

import numpy as np
import pyarrow as pa

from colintern.data.compute import pc

NUM_BYTES = 32
NUM_UNIQUE_BYTES = 16  # of a hash, by which no two are ever equal by chance
_NUM_DIGITS = 2 * NUM_BYTES
_ROWS_AT_ONCE = 16_384  # bounds what is in memory beside argument and result


def parse(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """The hashes that stand in a column of text.

    Returns:
        The hashes, and a boolean [N] that is false where the text is null or no such hash.
    """
    hashes, valid = np.empty((len(texts), NUM_BYTES), np.uint8), np.empty(len(texts), bool)
    for start in range(0, len(texts), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        hashes[rows], valid[rows] = _parsed(texts[rows])
    return hashes, valid


def _parsed(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    fits = pc.fill_null(pc.equal(pc.binary_length(texts), _NUM_DIGITS), False)
    filled = pc.if_else(fits, texts, "0" * _NUM_DIGITS).cast(pa.binary(_NUM_DIGITS))
    characters = _raw(filled, _NUM_DIGITS)
    is_letter = characters >= ord("a")
    values = characters - np.where(is_letter, ord("a") - 10, ord("0")).astype(np.uint8)
    is_digit = np.where(is_letter, characters <= ord("f"), values <= 9)
    valid = fits.to_numpy(zero_copy_only=False) & is_digit.all(1)
    return values[:, ::2] << 4 | values[:, 1::2] & 15, valid


def texts_of(hashes: np.ndarray, valid: np.ndarray | None = None) -> pa.StringArray:
    """The column of text that holds `hashes`; null where `valid` is false."""
    digits = np.empty((len(hashes), _NUM_DIGITS), np.uint8)
    for start in range(0, len(hashes), _ROWS_AT_ONCE):
        text = hashes[start : start + _ROWS_AT_ONCE].tobytes().hex().encode()
        digits[start : start + _ROWS_AT_ONCE] = np.frombuffer(text, np.uint8).reshape(
            -1, _NUM_DIGITS
        )
    offsets = np.arange(0, digits.size + 1, _NUM_DIGITS, dtype=np.int32)
    buffers = pa.py_buffer(offsets), pa.py_buffer(digits.reshape(-1))
    texts = pa.StringArray.from_buffers(len(hashes), *buffers)
    return texts if valid is None or valid.all() else pc.if_else(pa.array(valid), texts, None)


def column_of(hashes: np.ndarray) -> pa.FixedSizeBinaryArray:
    """The same bytes as an Arrow column, which is not copied."""
    buffer = pa.py_buffer(np.ascontiguousarray(hashes).reshape(-1))
    return pa.Array.from_buffers(pa.binary(NUM_BYTES), len(hashes), [None, buffer])


def numbered(hashes: np.ndarray) -> np.ndarray:
    """Equal numbers for equal hashes: int32 [N], in the order of first appearance.

    Args:
        hashes: uint8 [N, 8 or 16 or 24 or 32], of which all bytes count.
    """
    first = _first_of_equal(hashes)
    number = np.cumsum(first == np.arange(len(first), dtype=np.int32), dtype=np.int32) - 1
    return number[first]


def first_rows(hashes: np.ndarray) -> np.ndarray:
    """The row in which each hash stands first, in order: int32."""
    first = _first_of_equal(hashes)
    return np.flatnonzero(first == np.arange(len(first), dtype=np.int32)).astype(np.int32)


def _first_of_equal(hashes: np.ndarray) -> np.ndarray:
    """For each hash the first row that has an equal one: int32 [N].

    Sorting takes less memory than a table of all hashes would.
    """
    words = np.ascontiguousarray(hashes).view(np.uint64)
    order = np.lexsort(words.T).astype(np.int32)  # it is stable
    is_again = np.zeros(len(order), bool)
    for start in range(1, len(order), _ROWS_AT_ONCE):
        end = min(len(order), start + _ROWS_AT_ONCE)
        before, these = words[order[start - 1 : end - 1]], words[order[start:end]]
        is_again[start:end] = (before == these).all(1)
    begins = np.flatnonzero(~is_again)
    first = np.empty(len(order), np.int32)
    first[order] = np.repeat(order[begins], np.diff(begins, append=len(order)))
    return first


def bytes_of(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """The bytes of a column as of `column_of`, without nulls: uint8 [N, 32]."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return _raw(array, NUM_BYTES)


def _raw(array: pa.FixedSizeBinaryArray, width: int) -> np.ndarray:
    raw = np.frombuffer(array.buffers()[1] or b"", np.uint8)
    return raw[array.offset * width : (array.offset + len(array)) * width].reshape(-1, width)


def is_known(hashes: np.ndarray) -> np.ndarray:
    """False where a hash is all zeros, which stand for none: boolean [N]."""
    return np.asarray(hashes.any(1))
