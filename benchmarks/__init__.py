"""Benchmarks: one module for each, ratios against a baseline that is measured in the same run.

`python -m benchmarks NAME [--scale 1|4|16] [--json]`; without `--scale` at all three sizes.
"""
