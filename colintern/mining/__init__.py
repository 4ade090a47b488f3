"""Which near misses become hard negatives, and the evidence of how they were chosen."""
