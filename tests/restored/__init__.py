"""Restored databases: what is recognised, what is held back, and what is decided about it."""
