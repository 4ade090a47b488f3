"""Runs against each other on the same queries: are the differences real, and are they fair?

`chosen` finds the rounds and baselines that are meant, `measured` what they have measured,
`differences` what two measurements do not have in common; `make` compares, `lines` prints.
"""
