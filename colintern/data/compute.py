"""Arrow's compute functions: pyarrow makes them when it is imported, unseen by type checkers."""

from typing import Any

import pyarrow.compute

pc: Any = pyarrow.compute
