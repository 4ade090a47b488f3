"""An open run that answers several questions at once."""

import numpy as np

from colintern.errors import UnknownPageError
from colintern.retrieval.serving.questions import Compare, Embed, PageImage, Search


def test_questions_of_all_kinds_are_answered_in_their_order(answering, retriever):
    """Answers that a batch hands to the wrong clients, or fewer pages than were asked for."""
    asked = [
        Search("question 3", 2),
        PageImage("p001"),
        Embed("question 3"),
        Search("which page?", 5),
        Compare("question 3", "p002"),
        PageImage("p001"),
    ]
    first, page, embedded, second, compared, again = answering.answer(asked)
    assert first.hits == retriever.search(["question 3"], 2)[0]
    assert second.hits == retriever.search(["which page?"], 5)[0]
    assert (first.round, first.dataset) == (retriever.round, "test")
    assert page == again == retriever.page_images(["p001"])["p001"]
    assert np.array_equal(embedded, retriever.embed_queries(["question 3"])[0])
    wanted = retriever.similarities("question 3", "p002")
    assert np.array_equal(compared.scores, wanted.scores)
    texts = ["".join(wanted.tokens[token] for token in own).strip() for own in compared.words]
    assert texts == ["question", "3"]
    assert answering.answer([]) == []


def test_a_question_that_fails_fails_alone(answering, retriever):
    """Fifteen clients that get an error for the wrong page id of a sixteenth."""
    asked = [PageImage("p001"), PageImage("p999"), Compare("a", "p999"), PageImage("p004")]
    good, bad, worse, last = answering.answer(asked)
    assert {"p001": good, "p004": last} == retriever.page_images(["p001", "p004"])
    assert isinstance(bad, UnknownPageError)
    assert isinstance(worse, UnknownPageError)
