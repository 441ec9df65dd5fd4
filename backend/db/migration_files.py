"""Where the migrations are, and what is said of one that is not there."""

from pathlib import Path

FOLDER = Path(__file__).parent / "migrations"


class CannotRun(Exception):
    """A migration that is not here, or is no way from the present one; the text is Alembic's sentence."""
