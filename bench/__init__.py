"""Figures of the running platform (docs/benchmarks.md). They inform; they never gate a test."""
