"""Tests of brands: what is checked, what is kept, what messages get."""
