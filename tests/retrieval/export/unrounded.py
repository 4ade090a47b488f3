"""Our own figures from features that are not rounded, as an exported folder's are not."""

from colintern.data.canonical import CanonicalDataset
from colintern.evaluation.metrics import per_query_metrics
from colintern.images.decode import decode
from colintern.model.backbone import FrozenBackbone
from colintern.retrieval.finished import FinishedRun


def unrounded_metrics(run: FinishedRun, dataset: CanonicalDataset) -> dict[str, float]:
    """The metrics of a run's heads on all pages of a dataset."""
    backbone, queries = FrozenBackbone(run.config.backbone), dataset.queries()
    images = dataset.images(ids := dataset.page_ids().to_pylist())
    features = backbone.encode_pages([decode(images[page_id]) for page_id in ids])
    pages = [run.heads.exact_pages(token_TH) for token_TH in features]
    ranking = {}
    asked = backbone.encode_queries([query.text for query in queries])
    for query, token_TH in zip(queries, asked, strict=True):
        query_QE = run.heads.exact_queries(token_TH)
        scores = [float((query_QE @ page.T).amax(1).double().mean()) for page in pages]
        order = sorted(zip(scores, ids, strict=True), key=lambda pair: (-pair[0], pair[1]))
        ranking[query.query_id] = [page_id for _, page_id in order]
    found = per_query_metrics(ranking, dataset.judgements())
    return {name: float(values.mean()) for name, values in found.values.items()}
