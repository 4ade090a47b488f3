"""The store of frozen features: planned shards, their manifest, and reading them back."""
