"""Tests of the receipts package."""
