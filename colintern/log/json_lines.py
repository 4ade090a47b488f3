"""Records for programs, one JSON object a line."""

import json
from collections.abc import Mapping
from typing import Any

from colintern import storage


class JsonLines:
    """Records for programs; kept in memory until `save` writes all of them to `path`.

    They are written together, so that nobody reads half a record.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lines: list[str] = []

    def add(self, record: Mapping[str, Any]) -> None:
        """Append a record.

        Raises:
            ValueError: a number in it is not finite.
        """
        self._lines.append(json.dumps(record, allow_nan=False))

    def save(self) -> None:
        """Write all records so far, atomically."""
        storage.write_bytes(self._path, "".join(line + "\n" for line in self._lines).encode())
