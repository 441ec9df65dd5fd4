"""Tests of the application's own library."""
