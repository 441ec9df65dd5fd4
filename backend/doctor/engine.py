"""Looks at the database as an engine: whose keys it knows, clocks, connections, logs that grow."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, text

from backend.db import database as db
from backend.db.models.accounts import ClientSecret, ServiceToken, SigningKey
from backend.db.models.callbacks import CallbackSecret
from backend.doctor import installation
from backend.doctor.examination import Check, Fault, Warned
from backend.lib import clock, keyring, settings

_SKEW = timedelta(seconds=5)
_BUSY = 0.8  # of the connections that the server allows
_LONG = timedelta(hours=1)
_LOG_BYTES = 512 * 1024**2
_LEAST_SHARE = 0.05  # of a disk, that is left


def keys() -> str:
    """Look at whether all that is sealed opens: where it does not, others work here with another key."""
    known = {key.id for key in keyring.in_use()}
    with db.current().read() as session:
        found = {
            one
            for column in (ClientSecret.key_id, SigningKey.key_id)
            for one in session.scalars(select(column).distinct())
        }
        for sealed in (ServiceToken.sealed, CallbackSecret.sealed):
            found |= {one.partition(".")[0] for one in session.scalars(select(sealed))}
    strange = sorted(one for one in found if one is not None and one not in known)
    here = ", ".join(sorted(known))
    if strange:
        raise Fault(
            f"the database has secrets under the key {', '.join(strange)}, and this machine has {here}: "
            "set the same CARILLON_SECRET_KEY everywhere, and that one in CARILLON_OLD_SECRET_KEYS if it was changed"
        )
    return f"all secrets are under the keys here ({here})"


def clocks() -> str:
    """Compare this machine's clock with the database's."""
    if db.current().is_sqlite:
        return "the database is on this machine"
    before = clock.now()
    with db.current().read() as session:
        there = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    after = clock.now()
    away = max(before - there, there - after, timedelta())
    if away > _SKEW:
        raise Fault(
            f"the clocks of this machine and the database differ by {away.total_seconds():.0f} seconds: "
            "let both follow a time server"
        )
    return "the database's clock agrees"


def connections() -> str:
    """Look at how many connections are left, and who keeps one busy."""
    if db.current().is_sqlite:
        return "SQLite needs none"
    with db.current().read() as session:
        used, allowed = session.execute(
            text("SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity")
        ).one()
        oldest: Any = session.execute(
            text(
                "SELECT max(clock_timestamp() - xact_start) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        ).scalar()
    if used >= _BUSY * allowed:
        raise Warned(
            f"{used} of the {allowed} connections of PostgreSQL are taken: raise max_connections or use a pooler"
        )
    if oldest is not None and oldest > _LONG:
        raise Warned(f"a transaction has been open for {oldest}: rows that were deleted stay until it ends. End it")
    return f"{used} of {allowed} connections are taken"


def growth() -> str:
    """Look at how full the disk is, and at SQLite's log beside the database."""
    configuration = settings.current()
    path = db.current().url.database if db.current().is_sqlite else None
    log = Path(f"{path}-wal") if path else None
    size = log.stat().st_size if log is not None and log.exists() else 0
    if size > _LOG_BYTES:
        raise Warned(
            f"{log} has {size // 1024**2} MiB: something keeps an old state of the database open. "
            "Look for a backup or a shell that has it open, and end that"
        )
    if configuration.data_dir.exists():
        disk = shutil.disk_usage(configuration.data_dir)
        if installation.LEAST_FREE <= disk.free < _LEAST_SHARE * disk.total:
            raise Warned(
                f"the disk of {configuration.data_dir} is {100 - 100 * disk.free // disk.total} % full: make room, or "
                "keep messages for fewer days (CARILLON_RETENTION_DAYS)"
            )
    return "the disk has room, and no log grows"


def shared_queue() -> str:
    """Look at whether all machines see the queue."""
    configuration = settings.current()
    if not configuration.is_sqlite and configuration.queue_url.startswith("sqlite"):
        raise Warned(
            "the database is PostgreSQL's and the queue a file that this machine alone sees: workers elsewhere are not "
            "woken. Unset CARILLON_QUEUE_URL, or name Redis"
        )
    return "whoever has the database has the queue"


CHECKS = (
    Check("keys", keys, of_database=True),
    Check("clocks", clocks, of_database=True),
    Check("connections", connections, of_database=True),
    Check("growth", growth, of_database=True),
    Check("sharing", shared_queue),
)
