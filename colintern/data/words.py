r"""What counts as a word: one rule for all languages, as BM25 is given pages of any.

After NFKC and case folding, a word is a run of letters, digits and marks. Where a script puts no
spaces between words (Chinese, Japanese, Thai, ...) a run is cut into pairs of neighbours, as
Lucene's CJKAnalyzer does. No word is left out as too common, and none is cut to its stem.
"""

import re
import sys
import unicodedata
from functools import cache

RULES = 1  # their version: raise it when they change, so that what was measured is made again
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # kana, Han
    "\U00020000-\U0003ffff"
)
_ONE_KIND = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")


def words(text: str) -> list[str]:
    """The words of a text, in their order."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    found = []
    for run in _runs().findall(folded):
        if run.isascii():
            found.append(run)
            continue
        for part in _ONE_KIND.findall(run):
            found += _pairs(part) if _IS_UNSPACED.match(part) else [part]
    return found


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(max(1, len(run) - 1))]


@cache
def _runs() -> re.Pattern[str]:
    r"""Letters, digits and marks. Python's `\w` has no marks: Hindi would fall into pieces."""
    every = map(chr, range(sys.maxunicode + 1))
    marks = "".join(sign for sign in every if unicodedata.category(sign)[0] == "M")
    return re.compile(rf"(?:[^\W_]|[{marks}])+")
