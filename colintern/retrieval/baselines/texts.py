"""The texts of the pages of a view, for baselines that read."""

import hashlib
from collections.abc import Iterator

from colintern.data.canonical import CanonicalDataset
from colintern.data.page_texts import page_texts
from colintern.data.views import View


def texts_of_pages(view: View, corpus: CanonicalDataset) -> Iterator[tuple[int, str]]:
    """Ordinal and text of the pages of a view that have one; read anew, as they may be large."""
    ordinals = {page_id: ordinal for ordinal, page_id in enumerate(view.page_ids().to_pylist())}
    for page_id, text in page_texts(corpus.corpus_files):
        ordinal = ordinals.pop(page_id, None)  # of rows with one id, the first counts
        if ordinal is not None and text is not None:
            yield ordinal, text


def summary_of_texts(view: View, corpus: CanonicalDataset) -> tuple[int, str]:
    """How many pages of a view have a text, and a hash of all texts."""
    digest, num_texts = hashlib.sha256(), 0
    for ordinal, text in texts_of_pages(view, corpus):
        digest.update(f"{ordinal} {len(text)} {text}".encode())
        num_texts += 1
    return num_texts, digest.hexdigest()
