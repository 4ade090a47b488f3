"""What bookkeeping costs for each page, and how long it takes: metadata only, no features.

Run as `python -m benchmarks.scale`.
"""
