"""A dataset as the source of one that may be there already: copied beside it, then put in."""

from dataclasses import replace

from colintern import log, storage
from colintern.data.canonical import DATASET_DONE, CanonicalDataset, iterate_pages
from colintern.data.configurations import find_data_files
from colintern.data.layouts import Layout
from colintern.ingestion.asked import change_of, read_asked
from colintern.ingestion.dataset import copy_dataset
from colintern.ingestion.findings import Report
from colintern.ingestion.pool import Processes
from colintern.ingestion.sources import count_by_kind
from colintern.ingestion.swap import Swap, files_of
from colintern.ingestion.work import Work


def ingest_dataset(layout: Layout, work: Work) -> Report:
    """Copy a dataset, and put it in the place of what is there.

    Raises:
        DatasetError: something would be lost; or as `copy_dataset`.
        TooManyBadPagesError: see `Work.check_bad`.
    """
    source, standing, settings = work.sources[0], work.standing, work.settings
    others = _others(storage.absolute(source), layout)
    with Processes(settings.num_processes) as processes:
        report = copy_dataset(
            layout,
            work.build,
            settings.language,
            processes,
            work.check,
            relevant_from=settings.relevant_from,
        )
    report = replace(report, skipped=count_by_kind(others))
    out = standing.folder
    if standing.is_first:
        work.check()
        storage.write_json(storage.join(out, DATASET_DONE), report.document())
    work.check_bad(report)
    if standing.is_first:
        return report
    if standing.report is not None:
        work.refuse(_told_loss(out, work.build))
        if _is_same(out, work.build):
            log.say("ingest", "nothing is new: %s is as it was", out)
            storage.delete_folder(work.build)
            return report
    new = files_of(work.build)
    old = [storage.join(out, name) for name in files_of(out) if name not in new]
    Swap(out, work.begun, report.document(), new, old, None, replaces=True, check=work.check).do()
    return report


def _others(root: str, layout: Layout) -> list[str]:
    """The names of files that are no part of the dataset, in any of its splits."""
    files = storage.find_files(root)
    own = {file.path for file in find_data_files(root, files).files if file.split}
    own.update(layout.files())
    return [file.removeprefix(root) for file in files if file not in own]


def _is_same(folder: str, other: str) -> bool:
    """Whether two canonical folders hold the same, file by file."""
    return CanonicalDataset(folder).content_hash() == CanonicalDataset(other).content_hash()


def _told_loss(folder: str, other: str) -> str | None:
    """What would go if `other` took the place of `folder`, for a person; None if nothing would."""
    before, now = CanonicalDataset(folder), CanonicalDataset(other)
    hashes, found = _image_hashes(before), _image_hashes(now)
    gone = sorted(hashes.keys() - found.keys())
    changed = [name for name, sha256 in hashes.items() if found.get(name, sha256) != sha256]
    told = [
        f"{len(names):,} pages would {what} (the first: {names[0]})"
        for names, what in ((gone, "go"), (changed, "change"))
        if names
    ]
    if lost := change_of(read_asked(folder), read_asked(other)).told_loss():
        told.append(f"{lost} would go")
    return "; ".join(told) or None


def _image_hashes(dataset: CanonicalDataset) -> dict[str, str]:
    """Page id to the SHA-256 of its image's bytes."""
    return {
        page.page_id: storage.sha256_of_bytes(page.image)
        for file in dataset.corpus_files
        for _, page in iterate_pages(file)
    }
