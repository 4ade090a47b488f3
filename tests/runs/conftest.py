"""Runs whose reports are written, without the drawing."""

from functools import partial

import jinja2
import pytest


@pytest.fixture(scope="package", autouse=True)
def _no_charts():
    """Each takes longer than a round: `tests/report` draws them, and the runs of `retrieval`."""
    with pytest.MonkeyPatch.context() as patch:
        for chart in ("rounds_chart", "loss_chart", "histogram_chart"):
            patch.setattr(f"colintern.report.page.{chart}", lambda *_, **__: "<svg></svg>")
        yield


@pytest.fixture(scope="package", autouse=True)
def _templates_compiled_once(tmp_path_factory):
    """A hundred reports compile the same templates, each for longer than it is filled in."""
    compiled = jinja2.FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2, "Environment", partial(jinja2.Environment, bytecode_cache=compiled))
        yield
