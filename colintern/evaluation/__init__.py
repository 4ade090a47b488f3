"""How good the heads are: metrics, intervals, the decision to go on, and the report."""
