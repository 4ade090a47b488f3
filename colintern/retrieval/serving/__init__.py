"""A finished run behind HTTP: an API, and a page to search in a browser."""
