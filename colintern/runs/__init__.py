"""The stages of a run, and the loop over them."""
