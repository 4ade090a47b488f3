"""A finished run as a folder that sentence-transformers opens, without code of ours."""
