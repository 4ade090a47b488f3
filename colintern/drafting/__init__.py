"""Drafting questions from the text layer of a dataset's pages: `colintern questions`."""
