"""Benchmarks: two things compared in one run, ratios printed. Nothing here is asserted by the test suite."""
