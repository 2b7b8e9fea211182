"""Figures of the running platform (design section 11). They inform; they never gate a test."""
