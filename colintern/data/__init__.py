"""Where pages, queries and judgements come from: canonical folders, splits, triples, the demo."""
