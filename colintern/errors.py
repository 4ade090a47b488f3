"""The errors that ColIntern raises on purpose.

All derive from `ColInternError`. A `UserError` is a mistake that the user can correct. Its message
is one line: the setting or file, what was found, and the remedy. The command line prints it without
a traceback and exits with 2. Any other `ColInternError` exits with 1.
"""


def one_line(error: BaseException) -> str:
    """The message of an error, on one line; the name of its class if it has no message."""
    return " ".join(str(error).split()) or type(error).__name__


class ColInternError(Exception):
    """Base class of every error raised on purpose."""

    exit_code = 1


class UserError(ColInternError):
    """A mistake that the user can correct; one line: where, what was found, and the remedy."""

    exit_code = 2


class ConfigError(UserError):
    """A configuration file, key or value that cannot be used."""


class DatasetError(UserError):
    """A dataset that is missing, incomplete or not in a known layout."""


class UnknownPageError(DatasetError):
    """A page is asked for that a dataset does not have."""


class BackboneError(UserError):
    """A backbone that cannot be found, is damaged, or is not an InternVL checkpoint."""


class CheckpointError(UserError):
    """Heads with weights that are missing, unknown, of another shape, or not finite."""


class ExportError(UserError):
    """A run that cannot be exported as it is asked for, or a folder that must not be replaced."""


class ReportKeptError(UserError):
    """A report that stays as it was, as a dataset is gone whose pages it shows."""


class DriftError(UserError):
    """A changed setting or input that would change a stage that is already recorded."""


class MissingStageError(UserError):
    """A stage that needs the results of another stage, which is not recorded yet."""


class LeaseHeldError(UserError):
    """Another driver is working on the same run."""


class LeaseLostError(ColInternError):
    """Another driver has taken over the work of this one."""


class StorageError(ColInternError):
    """Storage fails: a full disk, a server that is down. Not a mistake of the user."""


class DamagedShardError(StorageError):
    """A shard of features is missing, incomplete, or has other bytes than were written."""


class PathError(StorageError, UserError):
    """A wrong path or URL: nothing is there, access is denied, or the file is damaged."""


class BusyError(ColInternError):
    """A server is asked more than it can answer soon, or has nobody who can answer."""


class TooManyBadPagesError(ColInternError):
    """A dataset has more bad pages, or bad queries, than its limit allows.

    The limit is `data.max_bad_fraction`, or `--max-bad-fraction` of `colintern ingest`.
    """


class NonFiniteError(ColInternError):
    """A loss or gradient is not finite; the heads were not changed by it."""
