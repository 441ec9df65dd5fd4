"""Logging: one line an entry, to standard error."""

import logging
import sys

from backend.lib import clock

# These libraries write tokens, addresses or whole requests below WARNING.
_QUIET = ("authlib", "httpx", "httpcore", "httpx2", "httpcore2", "urllib3", "huey", "alembic", "sqlalchemy.engine")


class _OneLine(logging.Formatter):
    """Writes an entry on one line, so that no text of a stranger can begin a line that looks like an entry.

    A traceback follows on lines of its own, indented.
    """

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        line = f"{clock.iso(clock.now())} {record.levelname:<7} {record.name}: {message}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info).replace("\n", "\n    ")
        return line


def configure(level: int = logging.INFO) -> None:
    """Send all logging through one handler."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
