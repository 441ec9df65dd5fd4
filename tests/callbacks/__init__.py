"""Tests of the callbacks package."""
