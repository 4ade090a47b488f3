"""MaxSim, the late-interaction score, for training and for search; and the losses on it."""
