"""What a driver keeps of the run that it has opened."""

import pickle

from colintern import records
from colintern.runs import loop
from colintern.runs.runner import open_run
from colintern.runs.stages import Encode
from tests.local_run import QuickWorkers, make_config


def test_records_are_not_read_again_for_every_look_at_the_catalog(tmp_path, monkeypatch):
    """Hundreds of requests to an object store, in a run that has nothing to do."""
    config = make_config(tmp_path)
    loop.encode(config, QuickWorkers())
    with open_run(config, workers=QuickWorkers()) as runner:
        catalog = runner.run.catalog

        def fail(path: str) -> None:
            raise AssertionError(f"{path} is read again")

        with monkeypatch.context() as patched:
            patched.setattr(records, "read_record", fail)
            assert runner.run.catalog is catalog
            assert runner.run.features_hash("train") != runner.run.features_hash("test")


def test_a_dataset_that_is_encoded_meanwhile_is_seen(tmp_path):
    """A catalog without the features that the run has just made."""
    config = make_config(tmp_path)
    with open_run(config, workers=QuickWorkers()) as runner:
        empty, before = runner.run.catalog, runner.run.features_hash("train")
        runner.do(Encode("train"))
        assert runner.run.features_hash("train") != before
        assert runner.run.catalog is not empty


def test_what_each_machine_may_keep_reaches_the_stores(tmp_path):
    """A `features.cache_bytes` that nobody obeys: a disk that fills, or S3 asked again."""
    config = make_config(tmp_path, features={"cache_bytes": 123})
    loop.encode(config, QuickWorkers())
    with open_run(config, workers=QuickWorkers()) as runner:
        catalog = pickle.loads(pickle.dumps(runner.run.catalog))  # as a worker gets it
        assert catalog.store("test").cache_bytes == catalog.train()[1].cache_bytes == 123
