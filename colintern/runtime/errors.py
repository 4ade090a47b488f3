"""Errors of a cluster, and what Ray wraps around ours."""

from ray.exceptions import RayTaskError

from colintern.errors import UserError


class ClusterError(UserError):
    """The cluster cannot be joined, is too small, or its nodes do not share storage."""


def cause_of(error: BaseException) -> BaseException:
    """What a task raised on purpose: Ray raises an error of the same class around it."""
    while isinstance(error, RayTaskError) and isinstance(error.cause, BaseException):
        error = error.cause
    return error
