"""Read-only answers about what was asked for and what became of it."""
