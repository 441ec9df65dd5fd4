"""Providers' HTTP interfaces on this machine: they check requests by the published schemas and answer as told."""
