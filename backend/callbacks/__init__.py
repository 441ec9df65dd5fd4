"""Telling client systems what became of their notifications: signed status events."""
