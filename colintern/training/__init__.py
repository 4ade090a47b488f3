"""One round of head training over stored features: batches, step, loop, strategies."""
