"""Writing the images of found pages into a folder, in place of those of an earlier search."""

import re
from collections.abc import Mapping, Sequence

from colintern import storage
from colintern.errors import UserError
from colintern.images.decode import suffix_of
from colintern.retrieval.answers import Hit

SAVED = ".colintern-search.json"  # what an earlier search wrote: file name to SHA-256
_UNSAFE = re.compile(r"[^\w.-]+")
_MAX_CHARACTERS = 50  # of a page id: file names may take 255 bytes, a character up to four


def save_pages(hits: Sequence[Hit], images: Mapping[str, bytes], folder: str) -> list[str]:
    """Write the images of found pages; what an earlier search has written goes.

    A file that is not, byte for byte, what an earlier search wrote is never touched.

    Args:
        hits: of one query.
        images: the image bytes of those pages, by their ids.
        folder: is made if it is not there.

    Returns:
        The path of each hit's file, in the order of the hits.

    Raises:
        UserError: a file of somebody else has the name of one that is to be written.
    """
    new = {_name(hit, images[hit.page_id]): images[hit.page_id] for hit in hits}
    old = _own_files(folder)
    for name in new.keys() - old.keys():
        if storage.exists(storage.join(folder, name)):
            raise UserError(
                f"--save {folder}: {name} is there and was not written by a search; "
                "move it, or choose another folder"
            )
    hashes = {name: storage.sha256_of_bytes(image) for name, image in new.items()}
    storage.write_json(storage.join(folder, SAVED), old | hashes)  # first: a kill leaves no orphan
    for name in old.keys() - new.keys():
        storage.delete(storage.join(folder, name))
    for name, image in new.items():
        storage.write_bytes(storage.join(folder, name), image)
    storage.write_json(storage.join(folder, SAVED), hashes)
    return [storage.join(folder, name) for name in new]


def _name(hit: Hit, image: bytes) -> str:
    """`003-manual_page-7.png`: the rank makes it unique, whatever is left of the page's id."""
    page = _UNSAFE.sub("_", hit.page_id)[:_MAX_CHARACTERS]
    return f"{hit.rank:03d}-{page}.{suffix_of(image)}"


def _own_files(folder: str) -> dict[str, str]:
    """The files of an earlier search that are still as it wrote them."""
    listed = storage.join(folder, SAVED)
    written = storage.read_json(listed) if storage.exists(listed) else {}
    if not isinstance(written, dict):
        raise UserError(f"{listed}: is not what a search wrote; choose another folder")
    there = {path.rpartition("/")[2]: path for path in storage.list_files(folder)}
    return {
        name: sha256
        for name, sha256 in written.items()
        if name in there and storage.sha256_of_file(there[name]) == sha256
    }
