"""How the built-in backbone `reader` was made: a tiny InternVL that learns to read printed text.

`make reader` makes it again. Nothing here is needed to use ColIntern.
"""
