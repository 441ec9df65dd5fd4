"""Alembic migrations; there is one head."""
