"""The settings of a run: their schema, and the files that they are read from."""
