"""What dev and the test sets of a run are, noted in `data.json` and told in the log.

Nobody sees a dev set that is taken out of the training set: which documents went into it, how many
questions it has. Nor what a test set shares with training, which makes it too easy. The report
shows the note, also when the datasets are gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from colintern import records, storage
from colintern.config.schema import DEV, dataset_of
from colintern.data.added_judgements import added_judgements
from colintern.data.queries import Queries
from colintern.data.text import normalised
from colintern.runs.progress import say_dev, say_seen_in_training
from colintern.runs.stages.inputs import split_inputs

if TYPE_CHECKING:
    from colintern.features.catalog import Catalog
    from colintern.records.lease import Held
    from colintern.runs.opened import OpenedRun

_NAMED = 20  # documents and pages that are noted by name


def note_sets(run: OpenedRun, held: Held) -> None:
    """Write `data.json` and say what it says, unless it tells of just these datasets already.

    Of the documents of dev, and of the pages that are in training too, twenty are named at most.

    Args:
        run: with all of its datasets encoded.
        held: its lease.
    """
    judged = ((f"judged {name}", added_judgements(run.config.data, name)) for name in run.targets)
    made_from = records.fingerprint(
        {
            **split_inputs(run.config),
            **{name: run.features_hash(name) for name in run.targets},
            **{name: added.sha256 for name, added in judged if added},
        }
    )
    path = run.folder.data_json
    if storage.exists(path) and storage.read_json(path).get("made_from") == made_from:
        return
    catalog = run.catalog
    dev = _dev(catalog)
    tests = {test.name: _shared(catalog, test.name) for test in run.config.data.eval}
    held.check()
    storage.write_json(path, {"made_from": made_from, "dev": dev, "tests": tests})
    say_dev(dev)
    for name, shared in tests.items():
        say_seen_in_training(name, shared)


def _dev(catalog: Catalog) -> dict[str, Any]:
    """Which documents dev has, and how much it asks of how many pages."""
    view, store = catalog.evaluated(DEV)
    pages, own = store.pages, view.pages
    is_split = catalog.data.dev is None
    if is_split:
        own = np.setdiff1d(view.pages, catalog.train()[0].pages, assume_unique=True)
    everything, found = (np.unique(pages.documents[rows]) for rows in (view.pages, own))
    documents = sorted(pages.document_ids.take(found[found >= 0]).to_pylist())
    return {
        "dataset": dataset_of(catalog.data, DEV).name,
        "is_part_of_training_set": is_split,
        "num_documents": len(documents),
        "num_documents_of": int((everything >= 0).sum()),
        "documents": documents[:_NAMED],
        "num_pages": len(own),
        "num_pages_searched": len(view.pages),
        "num_questions": len(view.judgements),
        **({} if is_split else _shared(catalog, DEV)),
    }


def _shared(catalog: Catalog, name: str) -> dict[str, Any]:
    """What of a dataset of its own stands in training too."""
    train, view = catalog.train()[0], catalog.evaluated(name)[0]
    pages = catalog.pages_seen_in_training(name)
    trained_on = _texts(train.judged)
    return {
        "num_questions": len(view.judgements),
        "num_pages_searched": len(view.pages),
        "num_pages_in_training": len(pages),
        "pages_in_training": pages[:_NAMED],
        "num_questions_in_training": sum(text in trained_on for text in _texts(view.judged)),
    }


def _texts(queries: Queries) -> set[str]:
    return {normalised(query.text) for query in queries}
