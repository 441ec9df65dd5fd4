"""The REST door: one file per resource."""
