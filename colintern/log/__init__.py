"""What is said of the work: lines for people, bars on a terminal, JSON lines for programs.

`say("train", "step %d", 3)` writes `22:13:05  train     step 3` to standard error. `Progress` tells
how far a pass is. All that is said is also kept for the log of the run folder, see `kept`.
"""

from colintern.log.journal import kept, save
from colintern.log.json_lines import JsonLines
from colintern.log.lines import (
    NORMAL,
    QUIET,
    VERBOSE,
    detail,
    is_verbose,
    say,
    set_up,
    size_text,
    warn_once,
)
from colintern.log.progress import Progress

__all__ = [
    "NORMAL",
    "QUIET",
    "VERBOSE",
    "JsonLines",
    "Progress",
    "detail",
    "is_verbose",
    "kept",
    "save",
    "say",
    "set_up",
    "size_text",
    "warn_once",
]
