"""What is learned from: free, named, and nothing that serves as a test."""

import random
import shutil

import pytest

from colintern.errors import UserError
from pretraining.printed import office
from pretraining.printed.packages import Package, fetch, packages
from pretraining.printed.sources import Sources
from pretraining.printed.typeset import Look, with_style

# They serve as tests elsewhere, of whatever list they would be.
INDEPENDENT = """hackrf auto-multiple-choice lilypond r-cran-vcd r-cran-zoo r-cran-lme4
r-cran-survival hmmer reportlab dynare gnuplot xfig abinit netgen pari-doc asymptote tree-puzzle
evolver gri-pdf mrbayes developers-reference maxima""".split()


def test_no_package_is_one_that_serves_as_a_test():
    """A result on documents that the model has seen."""
    listed = packages("tex", "document", "font", "words", "held")
    assert not [p.name for p in listed if any(name in p.name for name in INDEPENDENT)]
    trained = {package.name for package in packages("tex", "document")}
    assert len(trained) > 100
    assert not trained & {package.name for package in packages("held")}
    assert len({package.name for package in listed}) == len(listed)


def test_every_package_has_a_licence():
    """Documents of which nobody has looked whether they are free."""
    listed = packages("tex", "document", "font", "words", "held")
    assert all(package.licence.strip("? ") for package in listed)


def test_made_up_documents_are_the_same_again():
    """Pages that nobody can make again; a layout without text."""
    made = [list(office.documents(("lamp", "kettle"), ("a text",), "x", 16)) for _ in range(2)]
    assert made[0] == made[1]
    assert len({name.split("-")[0] for name, _ in made[0]}) == 8
    assert all(len(document.html) > 200 for _, document in made[0])
    assert all(document.paper for name, document in made[0] if name.startswith("slides"))


def test_looks_differ():
    """A thousand documents in one font."""
    looks = [Look.draw(random.Random(number)) for number in range(40)]
    assert len({look.css for look in looks}) > 35
    assert {look.paper for look in looks} == {"A4", "Letter"}


@pytest.mark.parametrize(
    "html",
    ["<p>a</p>", "<html><body><p>a</p></body></html>", "<HTML><BODY><P>a</P></BODY></HTML>"],
)
def test_the_look_stands_behind_the_documents_own(html):
    """A document in its own fonts after all: capital tags, or none at the end."""
    styled = with_style(f"<!DOCTYPE html><style>own</style>{html}", "look", "<base>")
    assert styled.startswith('<!DOCTYPE html><meta charset="utf-8"><base>')  # else in quirks mode
    assert styled.index("<style>own") < styled.lower().index("a</p>") < styled.index("<style>look")
    assert styled.lower().find("</body>") in (-1, styled.index("</style>", -30) + len("</style>"))
    without = styled.replace('<meta charset="utf-8"><base>', "").replace("<style>look</style>", "")
    assert without == f"<!DOCTYPE html><style>own</style>{html}"


def test_a_folder_without_pdfs_is_told_before_anything_is_fetched(tmp_path, monkeypatch):
    """A model of the made-up documents alone, after an hour of typesetting."""
    monkeypatch.setattr(shutil, "which", lambda name: name)
    (tmp_path / "own").mkdir()
    for own in (tmp_path / "own", tmp_path / "none"):
        with pytest.raises(UserError, match="no PDF file in it"):
            Sources(tmp_path, "chromium").make(own)


def test_a_machine_without_debians_programs_is_told(tmp_path, monkeypatch):
    """A traceback about a command that is not there."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="apt-get and dpkg: not found"):
        Sources(tmp_path, "chromium").make(None)
    (tmp_path / "packages" / "a").mkdir()  # what is there needs no program
    assert fetch(Package("a", "tex", "MIT"), tmp_path / "packages") == tmp_path / "packages" / "a"
