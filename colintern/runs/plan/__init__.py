"""What a run will take: sizes, memory, time and money, reckoned before anything runs.

`census` looks at the datasets, `sizes` makes tokens and bytes of them, `work` the operations and
seconds of the stages on a `machine`, `needs` memory and disk. `make` puts them together, `lines`
prints them.
"""
