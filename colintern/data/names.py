"""What the names of files and folders say: a split, or that something is hidden.

Splits are found as Hugging Face `datasets` finds them (data_files.py, SPLIT_KEYWORDS): a keyword
counts only as a whole word. `train-00000-of-00001.parquet`, `my_val.2.parquet` and
`testing/part-0.parquet` are of a split, `trainer.parquet` is of none.
"""

import re

SPLITS = ("train", "dev", "test")
_KEYWORDS = {
    "train": ("train", "training"),
    "dev": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SPLIT_OF_WORD = {word: split for split, words in _KEYWORDS.items() for word in words}
_WORD = re.compile(r"[^\W\d_]+")
_SHARD = re.compile(r"(\w+)-\d{5}-of-\d{5}")


def split_called(name: str) -> str | None:
    """The split that is called `name`: `validation` is dev; None for a name of no split."""
    return _SPLIT_OF_WORD.get(name.casefold())


def split_in(path: str) -> str | None:
    """The split of a file, by its path inside the dataset.

    The name of a shard decides (`train-00000-of-00001`), then the folders, from the innermost on,
    then any other file name. A name with two splits in it says none.
    """
    *folders, name = path.split("/")
    if (shard := _SHARD.match(name)) and (split := split_called(shard[1])):
        return split
    found = (_spoken_of(piece) for piece in (*reversed(folders), name))
    return next((split for split in found if split), None)


def is_split_name(name: str) -> bool:
    """Whether a folder's name consists of nothing but the words of a split."""
    words = _words(name)
    return bool(words) and all(word in _SPLIT_OF_WORD for word in words)


def is_hidden(path: str) -> bool:
    """Whether a file, or a folder on the way to it, begins with a dot or an underscore.

    `datasets`, pyarrow and Spark keep caches, checkpoints and half-written files under such names.
    """
    return num_hidden(path) > 0


def num_hidden(path: str) -> int:
    """How many of the names in a path, or in a pattern of paths, begin with a dot or underscore."""
    return sum(piece.startswith((".", "_")) for piece in path.split("/"))


def _spoken_of(name: str) -> str | None:
    splits = {_SPLIT_OF_WORD[word] for word in _words(name) if word in _SPLIT_OF_WORD}
    return splits.pop() if len(splits) == 1 else None


def _words(name: str) -> list[str]:
    return _WORD.findall(name.casefold())
