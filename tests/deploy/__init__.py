"""Tests of what brings Carillon to a machine."""
