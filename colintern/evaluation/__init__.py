"""How good the heads are: metrics, intervals, and the decision to go on."""
