"""Tests of the rooms, and the servers and tools that they share."""
