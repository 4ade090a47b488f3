"""Taking out the negatives that show almost what a positive shows: a copy as JPEG, a second scan.

Such a page has other pixels, so that no hash tells it. Its embedding does, but so does that of a
look-alike, which is what a hard negative is: nothing is taken out unless
`mining.near_duplicate` says from which score on two pages count as one.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field

from colintern.config.schema import MiningConfig
from colintern.mining.rules import Ranked, Selection

# Of pairs of ordinals: the likeness of every first page to its second (`search.likeness`).
Likeness = Callable[[Sequence[tuple[int, int]]], list[float]]


@dataclass
class Choice:
    """The choice of one query's negatives, made again for each near duplicate that is found.

    Attributes:
        query: its index among the view's queries.
        positives: its positives in the corpus.
        select: its negatives without some pages, by their ordinals.
        near_duplicates: the pages that were found to be some.
    """

    query: int
    positives: list[Ranked]
    select: Callable[[Container[int]], Selection]
    near_duplicates: set[int] = field(default_factory=set)

    def selection(self) -> Selection:
        """The negatives, by what is known."""
        return self.select(self.near_duplicates)


def selections(
    choices: Sequence[Choice], likeness: Likeness, settings: MiningConfig
) -> list[Selection]:
    """The negatives of several queries, without near duplicates of a positive.

    Only pages that would be taken are compared; for one that is taken out the next is looked at.

    Args:
        choices: one a query.
        likeness: of pages; no pair is asked for twice.
        settings: `near_duplicate`; None compares nothing.
    """
    made = [choice.selection() for choice in choices]
    limit = settings.near_duplicate
    if limit is None:
        return made
    known: dict[tuple[int, int], float] = {}

    def pairs(number: int) -> dict[int, list[tuple[int, int]]]:
        """Each chosen negative to its pairs with the positives."""
        positives = [positive.page for positive in choices[number].positives]
        return {
            negative.page: [(negative.page, positive) for positive in positives]
            for negative in made[number].negatives
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
                page for page, own in found.items() if max(known[pair] for pair in own) > limit
            }
            if alike:
                choices[number].near_duplicates |= alike
                made[number] = choices[number].selection()
                changed.append(number)
    return made
