"""What is learned from: free, named, and nothing that serves as a test."""

import random

from pretraining.printed import office
from pretraining.printed.packages import packages
from pretraining.printed.sources import INDEPENDENT
from pretraining.printed.typeset import Look


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
