"""Tests of the REST door, over real HTTP messages."""
