"""The one job script: `ray job submit -- python ray_jobs/pipeline.py --config F [a.b=c ...]`.

It is `colintern run` under another name, so that a cluster needs no installed entry point.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from colintern.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "run")
    main()
