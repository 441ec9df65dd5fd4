"""Logging: one line an entry, to standard error; readable, or in production JSON for those who collect them."""

import asyncio
import logging
import random
import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import TextIO

import msgspec

from backend.lib import clock, outages

_GIVEN = re.compile(r"[A-Za-z0-9._:-]{1,64}")
# W3C Trace Context: version, trace id, parent id, flags; an id of zeros is not one.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
Value = str | int | float | None
Fields = Mapping[str, Value]
OUTAGE_EVERY = timedelta(seconds=30)
# So long an event may wait for others with which it is written.
_GATHERED_SECONDS = 0.05
_encode = msgspec.json.Encoder().encode
# Below WARNING, libraries write tokens, addresses, rows of tables or whole requests: of that, only these are heard.
_HEARD = ("backend", "uvicorn")
# These write much, which costs time even where it is not heard.
_QUIET = ("authlib", "httpx", "httpcore", "httpx2", "httpcore2", "urllib3", "huey", "alembic", "sqlalchemy.engine")
# Everything of category Cc but the tab, and the two separators that some readers take for line ends.
_STEERING = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_ADDRESS = re.compile(r"([^\s@<>\"'(),:;=\[\]])[^\s@<>\"'(),:;=\[\]]*@(?=[^\s@]*[^\s@.])")
_NUMBER = re.compile(r"\+(\d{2})\d{5,12}(?=\d\b)")
_TOKEN = re.compile(r"\b(Bearer|Basic) +[^\s\"']+", re.IGNORECASE)
_URL = re.compile(r"\b([a-zA-Z][a-zA-Z0-9+.-]*)://(?:[^\s\"'<>/?#]*@)?([^\s\"'<>/?#@,;()]*)([^\s\"'<>]*)")
# What stands for a host in an address that is a secret need not be one: the key of a service, as a rule.
_HOST = re.compile(r"[\w-]+(\.[\w-]+)+\.?(:\d*)?|localhost(:\d*)?|\[[0-9a-fA-F:.]+\](:\d*)?")
_IN_QUERY = re.compile(r"([?&](?:key|code|state|nonce|token|secret|password|sig|signature)=)[^\s&\"']+", re.IGNORECASE)
# Secrets that say by their beginning what they are: ours, signing secrets, tokens of Slack and SendGrid, JWTs.
_MARKED = re.compile(r"\b(cr[sb]_|whsec_|xox[a-z]-|SG\.|eyJ)[\w.+/=-]{8,}")
# PostgreSQL quotes the row, the key or the parameters that it did not like.
_QUOTED = re.compile(r"\b(DETAIL|CONTEXT):.*?(?=\n\[SQL|\n\(Background|\n\n(?:The above|During)|\Z)", re.DOTALL)


# The id that ties together what one request causes: taken from the caller or made here, answered, and logged.
#
# It lives as long as the request. What happens to a notification afterwards, in other processes and maybe hours later,
# is tied together by the ids of the notification and its deliveries, which the request's own line in the log names.


def choose(given: bytes | None, traceparent: bytes | None) -> str:
    """Return the id of a request: its ``X-Request-ID``, else the trace id of its ``traceparent``, else a new one.

    What is not made of up to 64 letters, digits, ``.``, ``_``, ``:`` and ``-`` is not taken over.
    """
    if given is not None and (text := given.decode("latin-1")) and _GIVEN.fullmatch(text):
        return text
    if traceparent is not None and (found := _TRACEPARENT.fullmatch(traceparent.decode("latin-1"))):
        return found[1]
    return f"{random.getrandbits(128):032x}"


def masked(text: str) -> str:
    """Hide the persons and secrets in a text: ``a…@lab.example``, ``+44…3``, ``Bearer …``, ``https://host/…``."""
    if "://" in text:
        text = _URL.sub(_host_alone, text)
    if "@" in text:
        text = _ADDRESS.sub(r"\1…@", text)
    if "+" in text:
        text = _NUMBER.sub(r"+\1…", text)
    if "=" in text:
        text = _IN_QUERY.sub(r"\1…", text)
    if "DETAIL:" in text or "CONTEXT:" in text:
        text = _QUOTED.sub(r"\1: …", text)
    lower = text.lower()
    text = _TOKEN.sub(r"\1 …", text) if "bearer" in lower or "basic" in lower else text
    return _MARKED.sub(r"\1…", text)


def _host_alone(found: re.Match[str]) -> str:
    """Leave of a URL its scheme and its host, if that is one."""
    scheme, host, rest = found.groups()
    if not _HOST.fullmatch(host):
        return f"{scheme}://…"
    return f"{scheme}://{host}/…" if len(rest) > 1 else f"{scheme}://{host}{rest}"


class _OneLine(logging.Formatter):
    """Writes an entry on one line, so that no text of a stranger can begin a line that looks like an entry.

    Its fields follow as ``name=value``, then the request that it belongs to; a traceback follows on lines of its
    own, indented.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields = _with_request(getattr(record, "fields", {}))
        lines = [self.line(record.levelname, record.name, masked(record.getMessage()), fields)]
        if record.exc_info:
            lines += [f"    {_escaped(line)}" for line in masked(self.formatException(record.exc_info)).split("\n")]
        return "\n".join(lines)

    def line(self, level: str, name: str, message: str, fields: Fields, at: datetime | None = None) -> str:
        """Write an entry whose message is masked already."""
        ends = "".join([f" {name}={_plain(value)}" for name, value in fields.items()])
        return f"{_moment(at)} {level:<7} {name}: {_escaped(message)}{ends}"


class _Json(logging.Formatter):
    """Writes an entry as one JSON object on one line: ``time, level, logger, message``, its fields, ``exception``."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _with_request(getattr(record, "fields", {}))
        if record.exc_info:
            fields = {**fields, "exception": masked(self.formatException(record.exc_info))}
        return self.line(record.levelname, record.name, masked(record.getMessage()), fields)

    def line(self, level: str, name: str, message: str, fields: Fields, at: datetime | None = None) -> str:
        """Write an entry whose message is masked already."""
        entry = {"time": _moment(at), "level": level, "logger": name, "message": message, **fields}
        text = _encode(entry).decode()
        return text if text.isprintable() else _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _with_request(fields: Fields) -> Fields:
    """Name the present request, if there is one."""
    request = request_id.get()
    return fields if request is None else {**fields, "request_id": request}


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


class OneOfAnOutage(logging.Filter):
    """Lets one entry in half a minute tell of an outage, in a line without a traceback.

    Every thread, tick and request meets a full disk or a database that is away, and again each second; the line says
    how many entries it stands for.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._said: dict[str, datetime] = {}
        self._unsaid: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the entry is to be written, having made it short if it tells of an outage."""
        fault = record.exc_info[1] if record.exc_info else None
        if not outages.is_outage(fault):
            return True
        why, now = outages.reason(fault), clock.now()
        with self._lock:
            said = self._said.get(why)
            if said is not None and timedelta() <= now - said < OUTAGE_EVERY:
                self._unsaid[why] += 1
                return False
            self._said[why], unsaid = now, self._unsaid.pop(why, 0)
        more = f" ({unsaid} more such entries since the last one)" if unsaid else ""
        record.msg = f"{record.getMessage()}: the database, queue or disk cannot be used, {why}{more}"
        record.args, record.exc_info, record.exc_text = None, None, None
        return True


def _is_fit(record: logging.LogRecord) -> bool:
    """Keep out what libraries say below WARNING, whatever level somebody has set for their loggers."""
    ours = record.name.partition(".")[0] in _HEARD or hasattr(record, "fields")
    return ours or record.levelno >= logging.WARNING


def event(logger: logging.Logger, level: int, message: str, *entries: Fields) -> None:
    """Write an entry for each of ``entries``, which are the named fields of one.

    The message is always the same words, so that entries can be counted by it. Fields are ids, names and figures of
    ours, and nothing that a client wrote but the path of a request.
    """
    if not logger.isEnabledFor(level):
        return
    own = _own()
    if own is not None:
        named = logging.getLevelName(level)
        own.write([own.form.line(named, logger.name, message, _with_request(fields)) for fields in entries])
        return
    for fields in entries:
        record = logger.makeRecord(logger.name, level, "", 0, message, (), None)
        record.fields = fields
        logger.handle(record)


class Gathered:
    """Events of level INFO that the thread of an event loop writes a moment later, all that came together at once.

    A killed process loses those of the last twentieth of a second.
    """

    def __init__(self, logger: logging.Logger, message: str) -> None:
        self._logger = logger
        self._message = message
        self._waiting: list[tuple[datetime, Fields]] = []

    def add(self, fields: Fields) -> None:
        """Write an event with these fields, the present moment and the present request's id before long."""
        if not self._logger.isEnabledFor(logging.INFO):
            return
        if _own() is None:
            event(self._logger, logging.INFO, self._message, fields)
            return
        if not self._waiting:
            asyncio.get_running_loop().call_later(_GATHERED_SECONDS, self.write)
        self._waiting.append((clock.now(), _with_request(fields)))

    def write(self) -> None:
        """Write what waits, now."""
        waiting, self._waiting = self._waiting, []
        own = _own()
        if waiting and own is not None:
            name = self._logger.name
            own.write([own.form.line("INFO", name, self._message, fields, at) for at, fields in waiting])


class _Handler(logging.StreamHandler[TextIO]):
    """The one handler; ``form`` makes its lines."""

    def __init__(self, form: _OneLine | _Json) -> None:
        super().__init__()
        self.form = form
        self.addFilter(_is_fit)
        self.addFilter(OneOfAnOutage())
        self.setFormatter(form)

    def write(self, lines: Sequence[str]) -> None:
        """Write lines together: each write of its own costs as much as to make the line."""
        if not lines:
            return
        with self.lock or threading.Lock():
            try:
                self.stream.write("\n".join(lines) + "\n")
                self.flush()
            except (OSError, ValueError):  # nobody reads any more, or it is closed
                self.handleError(logging.makeLogRecord({"msg": lines[0]}))


def _own() -> _Handler | None:
    """Return our handler, unless somebody else listens too."""
    handlers = logging.getLogger().handlers
    return handlers[0] if len(handlers) == 1 and isinstance(handlers[0], _Handler) else None


def configure(level: int = logging.INFO, *, as_json: bool = False) -> None:
    """Send all logging through one handler; ``level`` is the lowest of our own entries, libraries begin at WARNING."""
    logging.basicConfig(level=level, handlers=[_Handler(_Json() if as_json else _OneLine())], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
