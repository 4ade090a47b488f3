"""Runs whose reports are written, without the drawing."""

import pytest


@pytest.fixture(scope="package", autouse=True)
def _no_charts():
    """Each takes longer than a round: `tests/report` draws them, and the runs of `retrieval`."""
    with pytest.MonkeyPatch.context() as patch:
        for chart in ("rounds_chart", "loss_chart", "histogram_chart"):
            patch.setattr(f"colintern.report.page.{chart}", lambda *_, **__: "<svg></svg>")
        yield
