"""The errors that ColIntern raises on purpose.

Everything derives from `ColInternError`. A `UserError` is a mistake of the user's: its message is
one line that names the setting or file, says what was found, and how to mend it. The command line
prints it without a traceback and exits with 2. Any other `ColInternError` exits with 1.
"""


def one_line(error: BaseException) -> str:
    """What an error says, on one line; the name of its class when it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


class ColInternError(Exception):
    """Base class of every error raised on purpose."""

    exit_code = 1


class UserError(ColInternError):
    """A mistake of the user's; one line: what was found, where, and the remedy."""

    exit_code = 2


class ConfigError(UserError):
    """A configuration file, key or value that cannot be used."""


class DatasetError(UserError):
    """A dataset that is missing, incomplete or not in a known layout."""


class BackboneError(UserError):
    """A backbone that cannot be found or is not an InternVL checkpoint."""


class CheckpointError(UserError):
    """A heads checkpoint with missing, extra or mis-shaped weights."""


class DriftError(UserError):
    """A setting or input that would make an already recorded stage different."""


class MissingStageError(UserError):
    """A stage that needs another one which is not recorded yet."""


class LeaseHeldError(UserError):
    """Another driver is working on the same run."""


class LeaseLostError(ColInternError):
    """Another driver has taken over what this one was working on."""


class StorageError(ColInternError):
    """Storage that fails: a full disk, a server that is down. No mistake of the user's."""


class DamagedShardError(StorageError):
    """A shard of features that is gone, short, or holds other bytes than were written to it."""


class PathError(StorageError, UserError):
    """A path or URL that is wrong: nothing is there, access is denied, or it is damaged."""


class TooManyBadPagesError(ColInternError):
    """More pages, or queries, of a dataset cannot be used than its limit allows.

    The limit is `data.max_bad_fraction`, and `--max-bad-fraction` of `colintern ingest`.
    """


class NonFiniteError(ColInternError):
    """A loss or gradient was not finite; the heads were not changed by it."""
