"""Notifications that wait for a moment of their own: looked after until then, released when due, or cancelled."""
