"""Recipient groups and templates: what teams register, and the lookups that sending makes of it."""
