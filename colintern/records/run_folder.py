"""The run folder: what stands where, and what is recorded."""

from collections.abc import Sequence
from dataclasses import dataclass

from colintern import records, storage
from colintern.config.files import parse_config
from colintern.config.schema import Config
from colintern.errors import ConfigError, PathError
from colintern.records import Output, Record
from colintern.records.places import located_now

# As `model.heads` calls them; it brings torch, which `colintern status` goes without.
HEAD_FILES = ("heads.safetensors", "colintern.json")


def encode_stage(dataset: str) -> str:
    """What the record of a dataset's encoding is called."""
    return f"encode-{dataset}"


def baseline_stage(name: str, dataset: str) -> str:
    """What the record of a baseline on a dataset is called."""
    return f"baseline-{name}-{dataset}"


def ladder_stage(dataset: str) -> str:
    """What the record of quality against size on a dataset is called."""
    return f"ladder-{dataset}"


@dataclass(frozen=True)
class RunDocument:
    """What `run.json` says of a run.

    Attributes:
        config: the settings, with every dataset's canonical folder, where all of it stands now.
        versions: Python's, ColIntern's and those of the packages that results depend on.
        commit: of the source tree that ran; None where that is not known.
    """

    config: Config
    versions: dict[str, str]
    commit: str | None


@dataclass(frozen=True)
class RunFolder:
    """A run folder by its path or URL; nothing is read or made by opening it."""

    path: str

    def file(self, *parts: str) -> str:
        """The full path of a file of the run."""
        return storage.join(self.path, *parts)

    @property
    def run_json(self) -> str:
        """Configuration, versions and commit."""
        return self.file("run.json")

    def read(self) -> RunDocument:
        """The content of `run.json`.

        Raises:
            PathError: this is no run folder.
        """
        if not storage.exists(self.run_json):
            raise PathError(
                f"{self.path}: is no run folder (it has no run.json); "
                "`colintern ls FOLDER` lists those in a folder"
            )
        document = storage.read_json(self.run_json)
        found = document if isinstance(document, dict) else {}
        settings = found.get("config")
        try:
            config = parse_config(settings if isinstance(settings, dict) else {}, "its run.json")
        except ConfigError as error:
            raise PathError(f"{self.path}: is no run folder ({error})") from None
        config = located_now(config, self.path)
        return RunDocument(config, found.get("versions", {}), found.get("commit"))

    @property
    def loop_json(self) -> str:
        """The gains and decisions of the rounds."""
        return self.file("loop.json")

    @property
    def data_json(self) -> str:
        """What dev and the test sets are, and what they share with training."""
        return self.file("data.json")

    @property
    def log(self) -> str:
        """What was said of the work on the run; no record or fingerprint knows of it."""
        return self.file("log.txt")

    @property
    def report(self) -> str:
        """The report's page."""
        return self.file("report.html")

    def heads(self, round_number: int) -> str:
        """The folder of a round's heads; round 0 has the untrained ones."""
        return self.file(f"round-{round_number}", "heads")

    def head_files(self, round_number: int) -> list[str]:
        """The files of a round's heads: weights, and what they fit to."""
        return [storage.join(self.heads(round_number), name) for name in HEAD_FILES]

    def train_log(self, round_number: int) -> str:
        """The JSON-lines log of a round's training."""
        return self.file(f"round-{round_number}", "train_log.jsonl")

    def triples(self, round_number: int) -> str:
        """The mined negatives that a round trains on."""
        return self.file(f"round-{round_number}", "triples.jsonl")

    def mining(self, round_number: int) -> str:
        """What the mining before a round did."""
        return self.file(f"round-{round_number}", "mining.json")

    def evaluation(self, round_number: int, dataset: str) -> str:
        """The metrics of a round on a dataset."""
        return self.file(f"round-{round_number}", "eval", f"{dataset}.json")

    def results(self, round_number: int, dataset: str) -> str:
        """The best pages of every query of a dataset after a round, as parquet."""
        return self.file(f"round-{round_number}", "eval", f"{dataset}.run.parquet")

    @property
    def baselines(self) -> str:
        """The folder of all baselines: of whatever else was measured on the run's datasets."""
        return self.file("baselines")

    def baseline(self, name: str) -> str:
        """The folder of one baseline."""
        return storage.join(self.baselines, name)

    def baseline_evaluation(self, name: str, dataset: str) -> str:
        """The metrics of a baseline on a dataset."""
        return storage.join(self.baseline(name), "eval", f"{dataset}.json")

    def baseline_results(self, name: str, dataset: str) -> str:
        """The best pages of every query of a dataset by a baseline, as parquet."""
        return storage.join(self.baseline(name), "eval", f"{dataset}.run.parquet")

    def ladder(self, dataset: str) -> str:
        """Quality against size of the vectors of a dataset's pages."""
        return self.file("ladder", f"{dataset}.json")

    def record(self, stage: str) -> Record | None:
        """The record of a finished stage, or None."""
        return records.read_record(self.record_path(stage))

    def described(self, paths: Sequence[str]) -> list[Output]:
        """The outputs of a stage, for its record, by their full paths inside the run."""
        relative = (path.removeprefix(self.path).lstrip("/") for path in paths)
        return [records.describe(self.path, path) for path in relative]

    def record_path(self, stage: str) -> str:
        """Where the record of a stage stands."""
        return self.file("records", f"{stage}.json")
