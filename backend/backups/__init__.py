"""Backups: an installation in one file, checked, put back into an empty place, or moved to another database."""
