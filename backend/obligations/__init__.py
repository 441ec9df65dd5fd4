"""Obligations: what is done until somebody knows, and who answers for it then."""
