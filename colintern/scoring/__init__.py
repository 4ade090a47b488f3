"""MaxSim, the late-interaction score, and the losses over it."""
