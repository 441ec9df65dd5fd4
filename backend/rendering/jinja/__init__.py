"""Jinja as templates of strangers may use it: the sandbox, its filters, and what is told of a template's text."""
