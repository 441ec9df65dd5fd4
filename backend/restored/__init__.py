"""Restored databases: recognised when they are first met, and held back until somebody has decided."""
