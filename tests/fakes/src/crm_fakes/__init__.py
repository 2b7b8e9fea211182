"""WAHA simulator and webhook receiver for tests, demo and bench."""
