"""The run folder: what stands where, and what is recorded."""

from dataclasses import dataclass

from colintern import records, storage
from colintern.records import Inputs, Record


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

    @property
    def loop_json(self) -> str:
        """The gains and decisions of the rounds."""
        return self.file("loop.json")

    @property
    def report(self) -> str:
        """The report's page."""
        return self.file("report.html")

    def heads(self, round_number: int) -> str:
        """The folder of a round's heads; round 0 has the untrained ones."""
        return self.file(f"round-{round_number}", "heads")

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

    def record(self, stage: str) -> Record | None:
        """The record of a finished stage, or None."""
        return records.read_record(self.record_path(stage))

    def write_record(
        self, stage: str, inputs: Inputs, outputs: list[str], started_at: str
    ) -> Record:
        """Record that `stage` is finished; `outputs` are full paths inside the run."""
        relative = [output.removeprefix(self.path).lstrip("/") for output in outputs]
        return records.write_record(
            self.record_path(stage), self.path, inputs, relative, started_at
        )

    def record_path(self, stage: str) -> str:
        """Where the record of a stage stands."""
        return self.file("records", f"{stage}.json")


def encode_stage(dataset: str) -> str:
    """The name of the stage that encodes a dataset."""
    return f"encode-{dataset}"


def train_stage(round_number: int) -> str:
    """The name of the stage that trains a round's heads."""
    return f"round-{round_number}-train"


def mine_stage(round_number: int) -> str:
    """The name of the stage that mines a round's negatives."""
    return f"round-{round_number}-mine"


def evaluate_stage(round_number: int, dataset: str) -> str:
    """The name of the stage that evaluates a round on a dataset."""
    return f"round-{round_number}-evaluate-{dataset}"


REPORT_STAGE = "report"
