"""Rendering: from a template and the fields of a notification to a message."""
