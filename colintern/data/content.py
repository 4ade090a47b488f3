"""What a dataset held when a run began: the hashes that are recorded with what is made of it."""

from functools import cached_property

from colintern.data.canonical import CanonicalDataset
from colintern.data.hashes import FileHashes
from colintern.errors import DatasetError


class DatasetContent:
    """The hashes of a canonical dataset folder.

    Args:
        path: the folder.
        memory: where the hashes of its corpus are remembered, see `FileHashes`.

    Attributes:
        questions: each file of queries and judgements to its SHA-256, when this object was made.
        corpus_files: the files of the pages at that time; those that are added later are not read.
    """

    def __init__(self, path: str, memory: str | None = None) -> None:
        self._path = path
        self._hashes = FileHashes(memory, trusts_tags=True)
        dataset = CanonicalDataset(path)
        self.questions = dataset.questions()
        self.corpus_files = dataset.corpus_files

    @cached_property
    def corpus(self) -> str:
        """The hash of all pages, from when it was first asked for."""
        return self._corpus_hash()

    def begin(self) -> None:
        """Hash the corpus as it is now, before its pages are listed."""
        _ = self.corpus

    def _corpus_hash(self) -> str:
        return CanonicalDataset(self._path, corpus_files=self.corpus_files).corpus_hash(
            self._hashes
        )

    @cached_property
    def footers(self) -> str:
        """What earlier versions recorded; blind to a picture replaced by one of equal size."""
        return CanonicalDataset(self._path).footers_hash()

    def check_unchanged(self) -> None:
        """Make sure that the dataset still holds what it did; something may have been added.

        Raises:
            DatasetError: it does not.
        """
        CanonicalDataset(self._path, self.questions).check_questions()
        if self._corpus_hash() != self.corpus:
            raise DatasetError(
                f"{self._path}/corpus: the dataset changed while it was encoded; run the same "
                "command again when nobody writes to it"
            )
