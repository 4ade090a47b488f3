"""Errors of a cluster, and what Ray wraps around ours."""

from ray.exceptions import RayTaskError

from colintern.errors import ColInternError, UserError


class ClusterError(UserError):
    """The cluster cannot be joined, is too small, or its nodes do not share storage."""


class WorkersDiedError(ColInternError):
    """Processes die of the same work again and again."""


def cause_of(error: BaseException) -> BaseException:
    """The error that a task raised: Ray raises another one of the same class around it."""
    while isinstance(error, RayTaskError) and isinstance(error.cause, BaseException):
        error = error.cause
    return error
