"""Tests of the house's own library."""
