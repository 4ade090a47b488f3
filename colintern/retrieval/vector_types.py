"""How vectors are written for a database: as floats, as bytes, or as bits.

Shapes: T vectors, N numbers of each, W values that a vector takes when it is written.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

Dtype = Literal["float32", "float16", "int8", "binary"]

_LARGEST = 127  # what 1 stands for in int8
_ARROW = {"float32": pa.float32(), "float16": pa.float16(), "int8": pa.int8(), "binary": pa.uint8()}


BOX = pa.list_(pa.float32(), 4)


@dataclass(frozen=True)
class VectorType:
    """The type of the values of vectors.

    Attributes:
        dtype: `float32`; `float16`; `int8`: 127 x, rounded; `binary`: whether x > 0, eight numbers
            to a byte, the first in its highest bit, the last byte filled up with zeros.
        dim: N.
    """

    dtype: Dtype
    dim: int

    @property
    def arrow(self) -> pa.DataType:
        """Of one vector."""
        return pa.list_(_ARROW[self.dtype], self._width)

    def schema(self, has_boxes: bool) -> pa.Schema:
        """The columns of pages with vectors of this type."""
        columns = {
            "page_id": pa.string(),
            "doc_id": pa.string(),
            "sha256": pa.string(),
            "num_tokens": pa.int32(),
            "vectors": pa.list_(self.arrow),
            "pooled": pa.list_(pa.float32(), self.dim),
        }
        return pa.schema(columns | ({"boxes": pa.list_(pa.list_(BOX))} if has_boxes else {}))

    @property
    def num_bytes(self) -> int:
        """Of one vector."""
        return self._width * _ARROW[self.dtype].bit_width // 8

    @property
    def _width(self) -> int:
        """W."""
        return -(-self.dim // 8) if self.dtype == "binary" else self.dim

    def written(self, vector_TN: Tensor) -> pa.FixedSizeListArray:
        """Vectors of length 1, float32, as they are written."""
        values = self._values(vector_TN.numpy())
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), type=self.arrow)

    def read(self, written: pa.FixedSizeListArray) -> Tensor:
        """What a query's float32 vectors are multiplied with, float32 [T, N].

        The numbers as they stand: those of `int8` are not divided by 127, which changes no order of
        pages. A bit counts 1 or -1; compared with 1 or 0 a page's score is twice as much and one
        number more, the same for all pages.
        """
        values = written.flatten().to_numpy(zero_copy_only=False).reshape(-1, self._width)
        if self.dtype == "binary":
            values = 2.0 * np.unpackbits(values, axis=1, count=self.dim) - 1.0
        return torch.from_numpy(values.astype(np.float32))

    def _values(self, vector_TN: np.ndarray) -> np.ndarray:
        match self.dtype:
            case "float32":
                return vector_TN
            case "float16":
                return vector_TN.astype(np.float16)
            case "int8":
                return np.rint(_LARGEST * vector_TN).astype(np.int8)
            case "binary":
                return np.packbits(vector_TN > 0, axis=1)
