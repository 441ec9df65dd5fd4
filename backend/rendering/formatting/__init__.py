"""Formatting a template's source: indentation and line breaks that say how it is built and change no message."""
