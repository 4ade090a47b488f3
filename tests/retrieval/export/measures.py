"""A program that measures an exported folder as the baseline of a run, and prints the metrics.

For a fresh interpreter: torchvision's folder, the run folder, the exported folder. Its workers are
this process, as torchvision loads only where it is helped to (`opens.py`).
"""

import json
import sys

from tests.retrieval.export.opens import let_torchvision_load


def main(torchvision: str, run: str, exported: str) -> None:
    library = let_torchvision_load(torchvision)
    from colintern.retrieval.baselines.frame import measured_run
    from colintern.retrieval.baselines.models import measure_model
    from colintern.runs.local import LocalWorkers

    with measured_run(run) as measured:
        documents = measure_model(measured, exported, workers=LocalWorkers())
    del library
    print(json.dumps({document["dataset"]: document for document in documents}))


if __name__ == "__main__":
    main(*sys.argv[1:])
