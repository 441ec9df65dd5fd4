"""Batches: notifications held back, gathered and sent as one message."""
