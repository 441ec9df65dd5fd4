"""The REST entry point: one file per resource."""
