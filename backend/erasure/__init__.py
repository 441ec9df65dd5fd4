"""Erasure: taking a person's address out of all that is kept, without making any count or status untrue."""
