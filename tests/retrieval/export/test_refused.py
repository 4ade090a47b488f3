"""Runs that plain modules cannot do the work of."""

import pytest

from colintern.errors import ExportError
from colintern.retrieval.export.refused import check_exportable


@pytest.mark.parametrize(
    ("section", "settings", "said"),
    [
        ("features", {"merge": 2}, r"features\.merge=2: .* keeps every token.*; .* with 1"),
        (
            "features",
            {"max_tokens_per_page": 9},
            r"features\.max_tokens_per_page=9: .* keeps every token.*; .* with null",
        ),
        ("backbone", {"layer": (2, 1)}, r"backbone\.layer=\[2, 1\]: .* one hidden state; .*"),
        ("backbone", {"pad_to_grid": True}, r"pad_to_grid=true: .* stretches a page .* with false"),
        ("backbone", {"layer": "projector"}, r"backbone\.layer=projector: .*; .* a number"),
    ],
)
def test_what_cannot_be_exported_is_refused(run, section, settings, said):
    """A folder that opens and embeds pages in another way than the run that it is named after."""
    check_exportable(run.config)
    changed = getattr(run.config, section).model_copy(update=settings)
    with pytest.raises(ExportError, match=said) as error:
        check_exportable(run.config.model_copy(update={section: changed}))
    assert "\n" not in str(error.value)
