"""Tests of our own e-mails."""
