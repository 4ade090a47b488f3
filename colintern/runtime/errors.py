"""Errors of a cluster, and what Ray wraps around ours."""

from ray.exceptions import RayTaskError

from colintern.errors import UserError


class ClusterError(UserError):
    """The cluster cannot be joined, is too small, or its nodes do not share storage."""


def cause_of(error: BaseException) -> BaseException:
    """The error that a task raised: Ray raises another one of the same class around it."""
    while isinstance(error, RayTaskError) and isinstance(error.cause, BaseException):
        error = error.cause
    return error
