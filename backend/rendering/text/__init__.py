"""The text alternative of an HTML message."""
