"""Tests of the alpha package."""
