"""Logging: one line an entry, to standard error."""

import logging
import re
import sys

from backend.lib import clock

# These libraries write tokens, addresses or whole requests below WARNING.
_QUIET = ("authlib", "httpx", "httpcore", "httpx2", "httpcore2", "urllib3", "huey", "alembic", "sqlalchemy.engine")
# Everything of category Cc but the tab, and the two separators that some readers take for line ends.
_STEERING = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class _OneLine(logging.Formatter):
    """Writes an entry on one line, so that no text of a stranger can begin a line that looks like an entry.

    A traceback follows on lines of its own, indented.
    """

    def format(self, record: logging.LogRecord) -> str:
        message = _escaped(record.getMessage())
        lines = [f"{clock.iso(clock.now())} {record.levelname:<7} {record.name}: {message}"]
        if record.exc_info:
            lines += [f"    {_escaped(line)}" for line in self.formatException(record.exc_info).split("\n")]
        return "\n".join(lines)


def _escaped(text: str) -> str:
    """Write what would begin a new line, or steer a terminal, as its escape."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def configure(level: int = logging.INFO) -> None:
    """Send all logging through one handler."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
