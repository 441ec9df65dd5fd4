"""Tests of sending by spreadsheet."""
