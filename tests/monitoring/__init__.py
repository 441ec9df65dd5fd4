"""Tests of what watches the installation."""
