"""Logging: one line an entry, to standard error; readable, or in production JSON for those who collect them."""

import asyncio
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TextIO

import msgspec

from backend.lib import clock, correlation

Value = str | int | float | None
Fields = Mapping[str, Value]
_MOMENT_SECONDS = 0.05
_encode = msgspec.json.Encoder().encode

# These libraries write tokens, addresses or whole requests below WARNING.
_QUIET = ("authlib", "httpx", "httpcore", "httpx2", "httpcore2", "urllib3", "huey", "alembic", "sqlalchemy.engine")
# Everything of category Cc but the tab, and the two separators that some readers take for line ends.
_STEERING = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_ADDRESS = re.compile(r"([^\s@<>\"'(),:;=\[\]])[^\s@<>\"'(),:;=\[\]]*@(?=[^\s@]*[^\s@.])")
_NUMBER = re.compile(r"\+(\d{2})\d{5,12}(?=\d\b)")
_TOKEN = re.compile(r"\b(Bearer|Basic) +[^\s\"']+", re.IGNORECASE)
_WEBHOOK = re.compile(r"(https?://[^\s/\"']+)/[^\s\"']+")


def masked(text: str) -> str:
    """Hide the persons and secrets in a text: ``a…@lab.example``, ``+44…3``, ``Bearer …``, ``https://host/…``."""
    if "@" in text:
        text = _ADDRESS.sub(r"\1…@", text)
    if "+" in text:
        text = _NUMBER.sub(r"+\1…", text)
    if "://" in text:
        text = _WEBHOOK.sub(r"\1/…", text)
    lower = text.lower()
    return _TOKEN.sub(r"\1 …", text) if "bearer" in lower or "basic" in lower else text


class _OneLine(logging.Formatter):
    """Writes an entry on one line, so that no text of a stranger can begin a line that looks like an entry.

    Its fields follow as ``name=value``, then the request that it belongs to; a traceback follows on lines of its
    own, indented.
    """

    def format(self, record: logging.LogRecord) -> str:
        message = masked(record.getMessage())
        lines = [self.line(record.levelname, record.name, message, getattr(record, "fields", {}))]
        if record.exc_info:
            lines += [f"    {_escaped(line)}" for line in masked(self.formatException(record.exc_info)).split("\n")]
        return "\n".join(lines)

    def line(self, level: str, name: str, message: str, fields: Fields, at: datetime | None = None) -> str:
        """Write an entry whose message is masked already."""
        ends = "".join(f" {name}={_plain(value)}" for name, value in _with_request(fields).items())
        return f"{_moment(at)} {level:<7} {name}: {_escaped(message)}{ends}"


class _Json(logging.Formatter):
    """Writes an entry as one JSON object on one line: ``time, level, logger, message``, its fields, ``exception``."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        if record.exc_info:
            fields = {**fields, "exception": masked(self.formatException(record.exc_info))}
        return self.line(record.levelname, record.name, masked(record.getMessage()), fields)

    def line(self, level: str, name: str, message: str, fields: Fields, at: datetime | None = None) -> str:
        """Write an entry whose message is masked already."""
        entry = {"time": _moment(at), "level": level, "logger": name, "message": message, **_with_request(fields)}
        text = _encode(entry).decode()
        return text if text.isprintable() else _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _with_request(fields: Fields) -> Fields:
    """Name the present request, unless the fields do: lines that waited are written in another one's context."""
    request = correlation.request_id.get()
    return fields if request is None or "request_id" in fields else {**fields, "request_id": request}


def _moment(at: datetime | None) -> str:
    return (at or clock.now()).isoformat(timespec="microseconds")[:-6] + "Z"  # always UTC: +00:00 gives way to Z


def _plain(value: Value) -> str:
    if not isinstance(value, str):
        return str(value)
    text = _escaped(value)
    return repr(text) if not text or " " in text else text


def _escaped(text: str) -> str:
    """Write what would begin a new line, or steer a terminal, as its escape."""
    if text.isprintable():
        return text
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class _House(logging.StreamHandler[TextIO]):
    """The one handler; it takes events past the ways of ``logging``, which cost three times as much as the entry."""

    def __init__(self, form: _OneLine | _Json) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(form)
        self.form = form

    def put(self, lines: Sequence[str]) -> None:
        """Write finished lines together."""
        self.acquire()
        try:
            self.stream.write("\n".join(lines) + "\n")
            if not getattr(self.stream, "line_buffering", False):
                self.stream.flush()
        finally:
            self.release()


def event(logger: logging.Logger, level: int, message: str, *entries: Fields) -> None:
    """Write an entry for each of ``entries``, which are the named fields of one.

    The message is always the same words, so that entries can be counted by it. Fields are ids, names and figures of
    ours, and nothing that a client wrote but the path of a request.
    """
    if not logger.isEnabledFor(level):
        return
    house = _house()
    if house is not None:
        name = logging.getLevelName(level)
        house.put([house.form.line(name, logger.name, message, fields) for fields in entries])
        return
    for fields in entries:
        record = logger.makeRecord(logger.name, level, "", 0, message, (), None)
        record.fields = fields
        logger.handle(record)


def _house() -> _House | None:
    """Return the one handler, unless somebody else listens too."""
    handlers = logging.getLogger().handlers
    return handlers[0] if len(handlers) == 1 and isinstance(handlers[0], _House) else None


class Deferred:
    """Events of level INFO that an event loop writes together a moment later, which costs a third for each.

    A killed process loses those of the last moment. Use in the thread of the loop.
    """

    def __init__(self, logger: logging.Logger, message: str) -> None:
        self._logger = logger
        self._message = message
        self._waiting: list[tuple[datetime, Fields]] = []

    def add(self, fields: Fields) -> None:
        """Write an event with these fields and the present request's id within a twentieth of a second."""
        if not self._logger.isEnabledFor(logging.INFO):
            return
        if _house() is None:
            event(self._logger, logging.INFO, self._message, fields)
            return
        if not self._waiting:
            asyncio.get_running_loop().call_later(_MOMENT_SECONDS, self.flush)
        self._waiting.append((clock.now(), _with_request(fields)))

    def flush(self) -> None:
        """Write what waits, now."""
        waiting, self._waiting = self._waiting, []
        house = _house()
        if waiting and house is not None:
            name = self._logger.name
            house.put([house.form.line("INFO", name, self._message, fields, at) for at, fields in waiting])


def configure(level: int = logging.INFO, *, as_json: bool = False) -> None:
    """Send all logging through one handler."""
    logging.basicConfig(level=level, handlers=[_House(_Json() if as_json else _OneLine())], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
