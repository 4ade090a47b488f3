"""From sources to a run: which commands lead there, and a configuration that begins with them."""

import posixpath
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from colintern import storage
from colintern.config.own import own_settings, run_command
from colintern.config.schema import READER_PRINT, DatasetConfig, Split
from colintern.data import hub
from colintern.data.asking import (
    QUESTIONS_FORM,
    has_text,
    ingest_command,
    questions_command,
    takes_questions,
)
from colintern.data.canonical import DATASET_DONE, INGEST_BEGUN, CanonicalDataset
from colintern.data.layouts import find_layout
from colintern.data.resolve import source_url
from colintern.data.text import bad_id_reason
from colintern.errors import ConfigError, DatasetError
from colintern.ingestion.dataset import is_dataset
from colintern.ingestion.findings import Report, counted
from colintern.ingestion.page_names import PageNames
from colintern.ingestion.questions import read_questions
from colintern.ingestion.sources import Sources, find_sources

_QUESTIONS = "questions.csv"  # until somebody writes the file


@dataclass(frozen=True)
class Start:
    """What `init` has found and written.

    Attributes:
        config: the path of the configuration.
        found: what there is, for a person.
        commands: to be run in this order.
        questions: they are there, or are drafted by a command, or somebody has to write them.
        is_for_gpu: whether the configuration wants a GPU.
    """

    config: str
    found: str
    commands: Sequence[str]
    questions: Literal["there", "drafted", "to write"]
    is_for_gpu: bool

    def lines(self) -> list[str]:
        """For a person."""
        lines = [self.found, f"written: {self.config}"]
        if not self.is_for_gpu:
            lines.append(
                "its backbone is reader-print, which is built in and reads printed English only: "
                "the file begins with the choice"
            )
        if self.questions == "drafted":
            lines.append(
                f"{_QUESTIONS} is drafted from the text of the PDFs, for you to correct; better "
                f"questions come from people: {QUESTIONS_FORM}"
            )
        elif self.questions == "to write":
            lines.append(f"first write {_QUESTIONS}: {QUESTIONS_FORM}")
        return [*lines, "next:", *(f"  {command}" for command in self.commands)]


def start(
    sources: Sequence[str],
    config: str,
    questions: str | None = None,
    *,
    split: Split | None = None,
    configuration: str | None = None,
    use_gpu: bool = False,
) -> Start:
    """Write a configuration for sources, which are listed and not opened.

    Args:
        sources: files and folders of PDFs and pictures, or one dataset.
        config: the file to write; the run, and the dataset to be made, are called like it.
        questions: a queries file.
        split: of a dataset that has several.
        configuration: of a dataset that has several.
        use_gpu: whether there is a GPU.

    Raises:
        ConfigError: the file is there already, or a name cannot stand in it.
        DatasetError: the sources or the questions cannot be used.
    """
    if storage.exists(config):
        raise ConfigError(f"--out {config}: is there already; remove it, or choose another name")
    for path in (config, *sources, *([questions] if questions else [])):
        if reason := bad_id_reason(path):
            raise ConfigError(f"{path!r}: its name has {reason}; rename it")
    if questions:
        read_questions(questions, PageNames([]))  # whether it can be read, and has the columns
    name = _name_of(config)
    datasets = [source for source in sources if _is_dataset(source)]
    if datasets and len(sources) > 1:
        raise DatasetError(f"{datasets[0]}: is itself a dataset; name it alone")
    chosen = {"split": split, "config": configuration}
    chosen = {key: value for key, value in chosen.items() if value is not None}
    if chosen and not datasets:
        raise ConfigError(f"--{next(iter(chosen))}: {sources[0]} is no dataset; leave it out")
    have: Literal["there", "drafted", "to write"] = "there"
    if questions is None and storage.exists(_QUESTIONS) and not datasets:
        read_questions(_QUESTIONS, PageNames([]))
        questions = _QUESTIONS  # somebody has written it
    if datasets:
        train, found, commands = sources[0], f"a dataset: {sources[0]}", []
        if questions:
            commands.append(_asking(train, questions))
        else:
            _check_questions(train, split, configuration)
    else:
        train, listed = f"data/{name}", find_sources(sources)
        found = _told(listed)
        commands = [ingest_command(sources, train, questions or _QUESTIONS)]
        if not questions:
            have = "drafted" if any(file.kind == "pdf" for file in listed.files) else "to write"
        if have == "drafted":
            commands = [
                ingest_command(sources, train),
                questions_command(train, _QUESTIONS),
                ingest_command([], train, _QUESTIONS),
            ]
    text = own_settings(config, name, {"path": train, **chosen}, commands, use_gpu=use_gpu)
    storage.write_bytes(config, text.encode())
    commands.append(run_command(config))
    return Start(config, found, commands, have, use_gpu)


def next_steps(report: Report, out: str) -> list[str]:
    """What comes after an ingest, for a person."""
    scans = []
    if 2 * report.without_text > report.pages_of_pdfs:
        scans = [f"most pages of PDFs have no text; {READER_PRINT} hardly reads scans"]
    if report.queries:
        init = shlex.join(["colintern", "init", "--source", out])
        return [*scans, f"next: {init}  # or run a configuration that names {out}"]
    lines = [*scans, "it has no questions yet, which training needs"]
    if takes_questions(report.document()):
        lines[-1] += f": write {QUESTIONS_FORM}, then"
        if has_text(report.document()):
            draft = questions_command(out, _QUESTIONS)
            lines.append(f"  {draft}  # or let this draft it from their text")
        lines.append(f"  {ingest_command([], out, _QUESTIONS)}")
    return lines


def _name_of(config: str) -> str:
    """The name of the run: that of the file, as far as a run can be called so."""
    stem = posixpath.basename(storage.absolute(config)).split(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-") or "mine"


def _is_dataset(source: str) -> bool:
    if hub.is_url(source):
        return True
    if not storage.exists(storage.absolute(source)):
        raise DatasetError(
            f"{source}: no such file or folder; a dataset on the Hub is "
            "hf://datasets/OWNER/NAME@COMMIT"
        )
    return is_dataset(source)


def _told(found: Sources) -> str:
    """How many files there are to ingest."""
    pdfs = sum(file.kind == "pdf" for file in found.files)
    text = f"{_number(pdfs, 'PDF')} and {_number(len(found.files) - pdfs, 'picture')}"
    if found.bad:
        text += f"; {len(found.bad):,} that cannot be read (the first: {found.bad[0].line()})"
    return text + (f"; of other kinds: {counted(found.skipped)}" if found.skipped else "")


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _check_questions(source: str, split: Split | None, configuration: str | None) -> None:
    """Make sure that a dataset can be read, and that one that stands ready has questions.

    Raises:
        DatasetError: no, with the remedy.
    """
    url = source_url(DatasetConfig(path=source, name="source"))
    if hub.is_url(url):
        return  # nothing is fetched to write a file
    layout = find_layout(url, split, config=configuration)
    if layout.kind == "canonical":
        CanonicalDataset(layout.root).judgements()


def _asking(source: str, questions: str) -> str:
    """The command that adds questions to a dataset that an ingest of PDFs and pictures has made.

    Raises:
        DatasetError: it was made otherwise.
    """
    files = [storage.join(storage.absolute(source), name) for name in (INGEST_BEGUN, DATASET_DONE)]
    if all(map(storage.exists, files)) and takes_questions(storage.read_json(files[-1])):
        return ingest_command([], source, questions)
    raise DatasetError(
        f"{source}: is a dataset, whose questions are its own; leave out --questions {questions}"
    )
