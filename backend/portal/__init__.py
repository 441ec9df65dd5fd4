"""The HTML entry point: the portal that people use in a browser."""
