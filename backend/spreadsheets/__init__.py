"""Sending by spreadsheet: a file of rows is checked, and each row becomes a notification."""
