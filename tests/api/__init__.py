"""Tests of the REST entry point, over real HTTP messages."""
