"""Notifications that wait for a moment of their own."""
