"""How each device of speed is switched off in a process of the benchmark: by putting the plain way in its place.

Nothing of this is in the product, which has no setting for any of it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import dkim as dkimpy  # type: ignore[import-untyped] # it ships no types
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import ClauseElement, bindparam, text
from sqlalchemy.orm import Session
from sqlalchemy.types import NullType

from backend.accounts import access, rate_limits
from backend.api import direct
from backend.channels import dkim, email_smtp, mime
from backend.channels.base import Message
from backend.channels.smtp_session import Session as SmtpSession
from backend.db import database as db
from backend.db import driver, statements
from backend.db.database import Database
from backend.delivery.outcomes import record, states
from backend.delivery.sending.send_context import Speeds
from backend.delivery.tasks import Waker
from backend.intake import lookup
from backend.lib import plain_json as plain
from backend.lib import queue_storage
from backend.lib.dkim_keys import DkimKey
from backend.lib.mailboxes import mailbox
from backend.lib.micro_batcher import MicroBatcher
from backend.lib.ttl_cache import TtlCache
from backend.registry.lookup import VersionCache
from backend.rendering import acceptance, engine

Put = Callable[[Any, str, Any], object]


def short_way(put: Put) -> None:
    """Send every request through the framework."""
    put(direct, "_TAKERS", {})


def groups(put: Put) -> None:
    """Accept each request by itself."""
    put(MicroBatcher, "_next_group", lambda self: [self._waiting.popleft()])


def plain_json(put: Put) -> None:
    """Read every body by the strict parser, and write its canonical form."""
    put(plain, "_may_be_plain", lambda _raw: False)


def token_memory(put: Put) -> None:
    """Verify each token for each request."""
    put(access._Memory, "get", lambda _self, _header: None)


def permits_ahead(put: Put) -> None:
    """Count each request in the database."""
    put(rate_limits.RateLimiter, "_choose_ahead", lambda _self, _window: 0)


def waker(put: Put) -> None:
    """Give each wake-up where the group is accepted."""
    put(Waker, "ring", lambda self, new: self._wake(new))


def hasty_commits(put: Put) -> None:
    """Let commits of mere counts wait for the disk."""
    whole = Database.transaction
    put(Database, "transaction", lambda self, **_durable: whole(self))


def versions(put: Put) -> None:
    """Read the versions of templates for each group."""
    put(VersionCache, "take", lambda _self, _ids: {})


def figures(put: Put) -> None:
    """Find each figure whenever it is asked for."""
    put(TtlCache, "get", lambda self: self._find())


def driver_statements(put: Put) -> None:
    """Let SQLAlchemy run the statements that go to the driver."""
    put(driver.Insert, "run", lambda self, session, rows: _inserted(self, session, rows).fetchall() if rows else [])
    put(driver.Insert, "send", lambda self, session, rows: _inserted(self, session, rows).rowcount if rows else 0)
    put(driver.Select, "rows", lambda self, *given: iter(_selected(self, *given)))
    put(driver.Select, "ask", lambda self, *given: _kept(_selected(self, *given)))
    put(driver.Select, "send", lambda self, *given: _selected(self, *given) and None)
    no_pipeline(put)


def _kept(rows: Any) -> Callable[[], Any]:
    return lambda: rows


_texts: dict[tuple[object, bool], Any] = {}


def _selected(self: Any, session: Session, values: Any, *more: Any) -> Any:
    if not values:
        return []
    if (made := _texts.get((self, True))) is None:
        numbers = iter(range(9))
        sql = re.sub(
            r"\?", lambda _: f":more{next(numbers)}", self._text.replace("{}", ":given").replace("(:given)", ":given")
        )
        names = [f"more{number}" for number in range(self._text.count("?"))]
        made = text(sql).bindparams(
            bindparam("given", expanding=True, type_=NullType()), *(bindparam(name, type_=NullType()) for name in names)
        )
        _texts[self, True] = made
    return (
        session.connection()
        .execute(made, {"given": list(values)} | {f"more{at}": one for at, one in enumerate(more)})
        .fetchall()
    )


def _inserted(self: Any, session: Session, rows: Sequence[Mapping[str, Any]]) -> Any:
    dialect = session.connection().dialect.name
    made = _texts.get((self, dialect == "sqlite"))
    if made is None:
        made = statements.for_dialect(dialect, self._table)
        ending = self._ending
        if found := re.search(r"ON CONFLICT \((.*?)\) DO NOTHING", ending):
            made = made.on_conflict_do_nothing(index_elements=found[1].split(", "))
        elif found := re.search(r"ON CONFLICT \((.*?)\) DO UPDATE SET (.*?)(?: RETURNING|$)", ending):
            changed = dict(one.split(" = ") for one in found[2].split(", "))
            made = made.on_conflict_do_update(
                index_elements=found[1].split(", "), set_={name: text(value) for name, value in changed.items()}
            )
        if found := re.search(r"RETURNING (.*)$", ending):
            made = made.returning(*(self._table.c[name] for name in found[1].split(", ")))
        _texts[self, dialect == "sqlite"] = made
    wanted = [{name: row[name] for name in self._columns} for row in rows]
    return session.connection().execute(made, wanted)


def no_pipeline(put: Put) -> None:
    """Wait for the answer to each statement."""
    for module in (driver, db, lookup):
        put(module, "pipeline", lambda _session: nullcontext())


def ready_statements(put: Put) -> None:
    """Let SQLAlchemy run the statements of each message."""

    @contextmanager
    def single(self: Database) -> Iterator[Callable[[ClauseElement, Mapping[str, Any]], int]]:
        with self._single.connect() as connection:

            def run(statement: Any, parameters: Mapping[str, Any]) -> int:
                with self._write_lock:
                    return int(connection.execute(statement, dict(parameters)).rowcount)

            yield run

    put(Database, "single_statements", single)


def rendering_here(put: Put) -> None:
    """Render each message in a child process."""
    put(acceptance, "is_harmless", lambda _job: False)
    tried_at_once(put)


def tried_at_once(put: Put) -> None:
    """Let each notification wait for its rendering in the threads of all."""
    put(acceptance.Allowance, "suffices", lambda _self, _job: False)


def text_without_html(put: Put) -> None:
    """Write each text alternative from the message's HTML."""
    put(engine, "_flow", lambda _source, _variables: None)


def inotify(put: Put) -> None:
    """Look for new tasks now and then."""

    def refuse(_path: object) -> int:
        raise OSError("switched off")

    put(queue_storage, "_watch", refuse)


def speeds(put: Put) -> None:
    """Claim as many as there are, whatever their sending takes."""
    put(Speeds, "share", lambda _self, _channel, _least, most: most)


def unfinished(put: Put) -> None:
    """Count all deliveries of a notification after each group."""
    put(states.UnfinishedCache, "of", lambda _self, _ids=None: [])
    put(states, "_NEW_WITNESSES", text("SELECT 1, NULL WHERE 1 = 0"))


def bursts(put: Put) -> None:
    """Have one message under way at once by each thread."""
    put(email_smtp, "_BURST", 1)


def marking_together(put: Put) -> None:
    """Mark each message by a statement of its own."""
    put(record, "_mark_some", lambda _run, _results, _present: False)


def smtp_pipelining(put: Put) -> None:
    """Wait for the answer to each command."""
    whole = SmtpSession.__init__

    def begin(self: Any, server: Any) -> None:
        whole(self, server)
        self._pipelines = False

    put(SmtpSession, "__init__", begin)


def own_mime(put: Put) -> None:
    """Write mails by the standard library."""
    put(mime, "build", _by_library)


def _by_library(message: Message, now: datetime) -> bytes:
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = message.sender, message.address, message.subject or ""
    mail["Date"], mail["Message-ID"] = now.replace(microsecond=0), f"<{message.message_id}>"
    mail["Auto-Submitted"], mail["X-Auto-Response-Suppress"] = "auto-generated", "OOF, AutoReply"
    mail.set_content(message.text)
    if message.html is not None:
        mail.add_alternative(message.html, subtype="html")
    for file in message.attachments:
        main, _, sub = file.type.partition("/")
        mail.add_attachment(file.content, maintype=main, subtype=sub, filename=file.name)
    return mail.as_bytes()


def own_folding(put: Put) -> None:
    """Let the library fold long lines."""
    put(mime, "_folded", lambda data: mime._encoded(data)[1])


def own_dkim(put: Put) -> None:
    """Sign by dkimpy."""
    put(dkim, "signed", _signed)


_pems: dict[str, bytes] = {}


def _signed(content: bytes, sender: str, keys: Sequence[DkimKey], now: datetime) -> bytes:
    domain = mailbox(sender)[1].rpartition("@")[2]
    for key in (one for one in keys if one.domain == domain):
        pem = _pems.get(key.selector) or key.secret.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        )
        _pems[key.selector] = pem
        content = (
            dkimpy.sign(
                content,
                key.selector.encode(),
                domain.encode(),
                pem,
                canonicalize=(b"relaxed", b"relaxed"),
                include_headers=[b"from", b"to", b"subject", b"date", b"message-id", b"content-type"],
            )
            + content
        )
    return content
