"""The commands as people type them: what they print, and what they say when they cannot."""
