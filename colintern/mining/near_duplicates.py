"""Taking out the negatives that show almost what a positive shows: a copy as JPEG, a second scan.

Such a page has other pixels, so that no hash tells it. Its embedding does, but so does that of a
look-alike, which is what a hard negative is: nothing is taken out unless
`mining.near_duplicate` says from which score on two pages count as one.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field

from colintern.config.schema import MiningConfig
from colintern.data.entities import Query
from colintern.mining.rules import Ranked, Selection

# Of pairs of ordinals: the likeness of every first page to its second (`search.likeness`).
Likeness = Callable[[Sequence[tuple[int, int]]], list[float]]


@dataclass
class Choice:
    """The choice of one query's negatives, made again for each near duplicate that is found.

    Attributes:
        query: the query.
        positives: its positives in the corpus.
        select: its negatives without some pages, by id.
        near_duplicates: the pages that were found to be some.
    """

    query: Query
    positives: list[Ranked]
    select: Callable[[Container[str]], Selection]
    near_duplicates: set[str] = field(default_factory=set)

    def selection(self) -> Selection:
        """The negatives, by what is known."""
        return self.select(self.near_duplicates)


def selections(
    choices: Sequence[Choice],
    likeness: Likeness,
    ordinal_of: Callable[[str], int],
    settings: MiningConfig,
) -> list[Selection]:
    """The negatives of several queries, without near duplicates of a positive.

    Only pages that would be taken are compared; for one that is taken out the next is looked at.

    Args:
        choices: one a query.
        likeness: of pages; no pair is asked for twice.
        ordinal_of: page id to ordinal.
        settings: `near_duplicate`; None compares nothing.
    """
    made = [choice.selection() for choice in choices]
    limit = settings.near_duplicate
    if limit is None:
        return made
    known: dict[tuple[int, int], float] = {}

    def pairs(number: int) -> dict[str, list[tuple[int, int]]]:
        """Page id of a chosen negative to its pairs with the positives."""
        positives = [ordinal_of(page.page_id) for page in choices[number].positives]
        return {
            page.page_id: [(ordinal_of(page.page_id), positive) for positive in positives]
            for page in made[number].negatives
        }

    changed = list(range(len(choices)))
    while changed:
        compared = {number: pairs(number) for number in changed}
        wanted = {pair for found in compared.values() for own in found.values() for pair in own}
        new = sorted(wanted - known.keys())
        known.update(zip(new, likeness(new), strict=True))
        changed = []
        for number, found in compared.items():
            alike = {
                page_id
                for page_id, own in found.items()
                if any(known[pair] > limit for pair in own)
            }
            if alike:
                choices[number].near_duplicates |= alike
                made[number] = choices[number].selection()
                changed.append(number)
    return made
