"""Clients and proxies that nobody here wrote, against a real web process."""
