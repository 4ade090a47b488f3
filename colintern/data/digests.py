"""SHA-256 hashes in columns: 32 raw bytes each in memory, 64 hexadecimal digits in files.

Shapes: N hashes, as uint8 [N, 32].
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NUM_BYTES = 32
_NUM_DIGITS = 2 * NUM_BYTES
_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
_NOT_A_DIGIT = 255
_VALUES = np.full(256, _NOT_A_DIGIT, np.uint8)  # the value of a digit, by its character
_VALUES[_DIGITS] = np.arange(16)
_PAIRS = np.stack([_DIGITS.repeat(16), np.tile(_DIGITS, 16)], axis=1)  # a byte's two digits


def parse(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """The hashes that stand in a column of text.

    Returns:
        The hashes, and a boolean [N] that is false where the text is null or no such hash.
    """
    fits = pc.fill_null(pc.equal(pc.binary_length(texts), _NUM_DIGITS), False)
    filled = pc.if_else(fits, texts, "0" * _NUM_DIGITS).cast(pa.binary(_NUM_DIGITS))
    start = filled.offset * _NUM_DIGITS
    characters = np.frombuffer(filled.buffers()[1] or b"", np.uint8)
    values = _VALUES[characters[start : start + len(filled) * _NUM_DIGITS]]
    values = values.reshape(len(filled), NUM_BYTES, 2)
    valid = fits.to_numpy(zero_copy_only=False) & (values != _NOT_A_DIGIT).all((1, 2))
    return values[..., 0] << 4 | values[..., 1] & 15, valid


def texts_of(hashes: np.ndarray, valid: np.ndarray | None = None) -> pa.StringArray:
    """The column of text that holds `hashes`; null where `valid` is false."""
    digits = np.ascontiguousarray(_PAIRS[hashes])
    offsets = np.arange(0, digits.size + 1, _NUM_DIGITS, dtype=np.int32)
    texts = pa.StringArray.from_buffers(
        len(hashes), pa.py_buffer(offsets), pa.py_buffer(digits.reshape(-1))
    )
    return texts if valid is None or valid.all() else pc.if_else(pa.array(valid), texts, None)


def column_of(hashes: np.ndarray) -> pa.FixedSizeBinaryArray:
    """The same bytes as an Arrow column, which is not copied."""
    buffer = pa.py_buffer(np.ascontiguousarray(hashes).reshape(-1))
    return pa.Array.from_buffers(pa.binary(NUM_BYTES), len(hashes), [None, buffer])


def numbered(hashes: np.ndarray) -> np.ndarray:
    """Equal numbers for equal hashes: int32 [N], in the order of first appearance."""
    return column_of(hashes).dictionary_encode().indices.to_numpy(zero_copy_only=False)


def first_rows(hashes: np.ndarray) -> np.ndarray:
    """The row in which each hash stands first, in order: int64."""
    numbers = numbered(hashes)
    before = (
        np.maximum.accumulate(np.concatenate([[-1], numbers[:-1]])) if len(numbers) else numbers
    )
    return np.flatnonzero(numbers > before)


def bytes_of(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """The bytes of a column as of `column_of`, without nulls: uint8 [N, 32]."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    start = array.offset * NUM_BYTES
    raw = np.frombuffer(array.buffers()[1] or b"", np.uint8)
    return raw[start : start + len(array) * NUM_BYTES].reshape(-1, NUM_BYTES)


def is_known(hashes: np.ndarray) -> np.ndarray:
    """False where a hash is all zeros, which stand for none: boolean [N]."""
    return hashes.any(1)
