"""The HTML door: the portal that people use in a browser."""
