"""Tests of ``backend.as_code``."""
