"""How each fault that the doctor has to find is planted in an installation that is well."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from sqlalchemy import text, update

from backend.channels import smtp_wire
from backend.db.database import Database
from backend.db.models.accounts import ClientSecret
from backend.db.models.batches import Batch
from backend.db.models.notifications import Delivery
from backend.db.models.operations import Worker
from backend.intake.accept import accept_many
from backend.lib import clock, settings
from tests.factories import BATCH_HTML, laboratory, notification
from tests.smtp_server import SmtpServer

_HOST = "notify.lab.example"


@dataclass(frozen=True)
class Installed:
    """An installation that is well: its database, its mail server, and what changes its settings."""

    database: Database
    server: SmtpServer
    set_up: Callable[..., None]
    patch: pytest.MonkeyPatch
    folder: Path
    finally_: Callable[[Callable[[], object]], None]

    def execute(self, statement: object) -> None:
        with self.database.transaction() as session:
            session.execute(statement)  # type: ignore[call-overload]


def setting(**values: str) -> Callable[[Installed], None]:
    """Plant by settings alone."""
    return lambda installed: installed.set_up(**values)


def environment(name: str, value: str) -> Callable[[Installed], None]:
    """Plant a variable that is no setting of ours."""
    return lambda installed: installed.patch.setenv(name, value)


def statement(made: Callable[[], object]) -> Callable[[Installed], None]:
    """Plant by changing the database."""
    return lambda installed: installed.execute(made())


def wrong_password(installed: Installed) -> None:
    installed.set_up(EMAIL_PROVIDERS=installed.server.address.replace("secret", "wrong"))


def sender_refused(installed: Installed) -> None:
    installed.server.script.senders["lab@lab.example"] = "550 5.7.1 not your domain"


def no_tls(installed: Installed) -> None:
    plain = SmtpServer().__enter__()
    installed.finally_(lambda: plain.__exit__(None, None, None))
    installed.set_up(EMAIL_PROVIDERS=f"smtp://{plain.host}:{plain.port}?tls=starttls")


def unknown_authority(installed: Installed) -> None:
    installed.set_up(EMAIL_PROVIDERS=installed.server.address.partition("&ca=")[0])


def mail_certificate_ends(installed: Installed) -> None:
    installed.patch.setattr(smtp_wire.Wire, "certificate_ends", lambda _wire: clock.now() + timedelta(days=9))


def site(installed: Installed, *, ends_in: timedelta, trusted: bool = True) -> None:
    """Serve TLS where the base address points to, with a certificate of an authority of our own."""
    authority = trustme.CA()
    issued = authority.issue_cert(_HOST, not_after=datetime.now(UTC) + ends_in)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    if trusted:
        authority.cert_pem.write_to_path(installed.folder / "authority.pem")
        installed.patch.setenv("SSL_CERT_FILE", str(installed.folder / "authority.pem"))
    listening = socket.create_server(("127.0.0.1", 0))
    installed.finally_(listening.close)

    def answer() -> None:
        connection, _ = listening.accept()
        # Whoever looks has seen the certificate, and goes.
        with connection, suppress(OSError):
            context.wrap_socket(connection, server_side=True).recv(1)

    threading.Thread(target=answer, daemon=True).start()
    connect = socket.create_connection

    def redirected(address: tuple[str, int], timeout: float | None = None) -> socket.socket:
        return connect(listening.getsockname() if address[0] == _HOST else address, timeout)

    installed.patch.setattr("socket.create_connection", redirected)
    installed.set_up(BASE_URL=f"https://{_HOST}")


def read_only(installed: Installed) -> None:
    """Take the right to write away, which whoever tests as root has whatever the folder says."""
    folder, allowed = settings.current().data_dir, os.access
    installed.patch.setattr("os.access", lambda path, mode: path != folder and allowed(path, mode))


def open_secret(installed: Installed) -> None:
    file = installed.folder / "key"
    file.write_text("q8X0vR3kT6mZ1yB7nC4dF9gH2jL5pW8s")
    file.chmod(0o644)
    installed.set_up(SECRET_KEY="", SECRET_KEY_FILE=str(file))


def other_key(installed: Installed) -> None:
    laboratory(installed.database)
    installed.execute(update(ClientSecret).values(key_id="0badc0de"))


def skewed(installed: Installed) -> None:
    clock.use(lambda: datetime.now(UTC) + timedelta(seconds=90))
    installed.finally_(lambda: clock.use(None))


def long_transaction(installed: Installed) -> None:
    installed.patch.setattr("backend.doctor.engine._LONG", timedelta())
    waiting = installed.database.engine.connect()
    waiting.execute(text("SELECT 1"))
    installed.finally_(waiting.close)


def log_grows(installed: Installed) -> None:
    log = Path(f"{installed.database.url.database}-wal")
    with log.open("ab") as file:
        file.truncate(600 * 1024**2)  # of holes
    installed.finally_(lambda: os.truncate(log, 0))


def disk_fills(installed: Installed) -> None:
    usage = type("Usage", (), {"free": 3 * 1024**3, "total": 100 * 1024**3})
    installed.patch.setattr("shutil.disk_usage", lambda _folder: usage)


def letters(installed: Installed) -> None:
    letter = settings.current().data_dir / "letters" / "2026-03-02" / "one.pdf"
    letter.parent.mkdir(parents=True)
    letter.touch()
    old = time.time() - 5 * 86_400
    os.utime(letter, (old, old))


def held_batch(installed: Installed) -> None:
    lab = laboratory(installed.database)
    lab.template("X_LIST", BATCH_HTML)
    body = notification(
        "S-1", priority="BATCH", aggregator_id="run-1", template_id="X_LIST", fields={"sample-id": "S-1"}
    )
    accept_many([lab.submission(body)], lambda _priorities: None)
    installed.execute(update(Batch).values(held=True, last_member_at=clock.now() - timedelta(days=2)))


def failing_template(installed: Installed) -> None:
    lab = laboratory(installed.database)
    accept_many([lab.submission(notification(f"S-{number}")) for number in range(3)], lambda _priorities: None)
    installed.execute(update(Delivery).values(status="FAILED", error="The template does not render."))


def gone_worker(installed: Installed) -> None:
    with installed.database.transaction() as session:
        session.add(Worker(name="elsewhere/4/12/a1", seen_at=clock.now() - timedelta(hours=1)))


def local_queue(installed: Installed) -> None:
    installed.set_up(
        DATABASE_URL=os.environ["CARILLON_DATABASE_URL"], QUEUE_URL=f"sqlite:///{installed.folder}/queue.db"
    )
