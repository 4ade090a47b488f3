"""Searching a corpus that is split over shards: exact MaxSim, or pooled vectors and a rescoring."""
