"""Prose from docstrings: the text in the package is what Python 3.11.7 really says."""

import platform

import pytest

from colintern.data.demo.prose import LIBRARY_VERSION, library_passages
from pretraining.docstrings import passages_of, standard_library_passages


@pytest.mark.skipif(
    platform.python_version() != LIBRARY_VERSION, reason="another Python says other things"
)
def test_the_text_of_the_demo_is_that_of_its_python():
    """A text that was changed by hand, or that is not what its README says."""
    assert list(library_passages()) == list(standard_library_passages())


def test_prose_is_whole_sentences_only(tmp_path):
    """Code, lists and tables printed as if they were prose."""
    path = tmp_path / "module.py"
    path.write_text(
        '''def found():
    """A sentence of more than eight words stands in this paragraph.

    >>> found() == [1, 2]
    - a point of a list without an end and with many words
    """
'''
    )
    found = list(passages_of("module", path))
    assert [(passage.subject, passage.text) for passage in found] == [
        ("module.found#0", "A sentence of more than eight words stands in this paragraph.")
    ]
