"""Tests of the alpha room."""
