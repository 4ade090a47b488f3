"""What is to stand in a folder, before anything of it is written."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# The bytes of a file, or the file that they are copied from.
Content = bytes | Path


def document(value: Any) -> bytes:
    """A JSON file: indented, keys in the given order."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def num_bytes(files: Mapping[str, Content]) -> int:
    """What the files of a folder take together."""
    return sum(
        content.stat().st_size if isinstance(content, Path) else len(content)
        for content in files.values()
    )
