"""How the built-in backbone `reader` was made: a tiny InternVL that learns to read rendered text.

`make reader` repeats it. Nothing here is needed to use ColIntern.
"""
