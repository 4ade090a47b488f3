"""Other retrievers on the pages and queries of a run: BM25, a pooled vector, any other model."""
