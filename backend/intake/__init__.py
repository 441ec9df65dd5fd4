"""Accepting notifications: schema, identity, validation, limits, storage."""
