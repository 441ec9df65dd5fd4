"""The faults that the doctor has to find, and what it says of each.

``python -m tests.doctor.planted`` writes the table of ``backend/docs/operations/doctor.md``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import text, update

from backend.db.models.installation import Installation
from backend.doctor.examination import Level
from backend.lib import clock, settings
from tests.doctor import planting
from tests.doctor.planting import Installed, environment, setting, statement

PAGE = Path(__file__).parents[2] / "backend/docs/operations/doctor.md"


@dataclass(frozen=True)
class Planted:
    """A fault in words, what plants it, and what the doctor says: under which name, how bad, and what to do."""

    fault: str
    plant: Callable[[Installed], object]
    name: str
    level: Level
    says: str
    do: str
    postgresql: bool = False


_TRUST = "FORWARDED_ALLOW_IPS"
_BACKED_UP = statement(lambda: update(Installation).values(backed_up_at=clock.now() - timedelta(days=9)))
_NEVER_BACKED_UP = statement(lambda: update(Installation).values(backed_up_at=None))
_OLD_MIGRATION = statement(lambda: text("UPDATE alembic_version SET version_num = '0004'"))

FAULTS = (
    Planted(
        "a setting is misspelt",
        setting(RETENTON_DAYS="5"),
        "names",
        Level.FAULT,
        "CARILLON_RETENTION_DAYS is meant",
        "Rename or remove it",
    ),
    Planted(
        "a setting is none",
        setting(NOTHING_LIKE_IT="5"),
        "names",
        Level.WARNING,
        "CARILLON_NOTHING_LIKE_IT is no setting",
        "Remove it",
    ),
    Planted(
        "a secret key that can be guessed",
        setting(SECRET_KEY="password-password"),
        "key",
        Level.FAULT,
        "CARILLON_SECRET_KEY is weak",
        "run `carillon secrets rotate`",
    ),
    Planted(
        "a file with a secret that everybody reads",
        planting.open_secret,
        "secrets",
        Level.WARNING,
        "everybody on this machine can read",
        "`chmod o=` takes that from them",
    ),
    Planted(
        "no mail provider in production",
        setting(EMAIL_PROVIDERS=""),
        "production",
        Level.FAULT,
        "mails stay in the outbox and reach nobody",
        "Name a mail server",
    ),
    Planted(
        "no base address",
        setting(BASE_URL=""),
        "production",
        Level.FAULT,
        "CARILLON_BASE_URL is not set",
        "Set the address that browsers use",
    ),
    Planted(
        "a base address without TLS",
        setting(BASE_URL="http://notify.lab.example"),
        "production",
        Level.FAULT,
        "passwords and tokens travel openly",
        "Put a TLS proxy in front and say https",
    ),
    Planted(
        "the default sender",
        setting(MAIL_FROM=""),
        "production",
        Level.FAULT,
        "CARILLON_MAIL_FROM is not set",
        "Set your own sender",
    ),
    Planted(
        "a proxy that is not trusted",
        setting(BASE_URL="https://notify.lab.example", HOST="192.0.2.7"),
        "proxies",
        Level.WARNING,
        "all clients look like it",
        "Name the proxy's address",
    ),
    Planted(
        "everybody is trusted as a proxy",
        environment(_TRUST, "*"),
        "proxies",
        Level.WARNING,
        "trusts everybody",
        "Name your proxies",
    ),
    Planted(
        "a data directory that others read",
        lambda _installed: settings.current().data_dir.chmod(0o755),
        "files",
        Level.FAULT,
        "can be read by others",
        "chmod -R go=",
    ),
    Planted(
        "a data directory that cannot be written to",
        planting.read_only,
        "files",
        Level.FAULT,
        "cannot be written to by this user",
        "give it to the user of the service",
    ),
    Planted(
        "a time zone that is none",
        environment("TZ", "Europe/Lodnon"),
        "zone",
        Level.WARNING,
        "TZ=Europe/Lodnon is no time zone",
        "Mend or unset it",
    ),
    Planted(
        "a database of an older migration",
        _OLD_MIGRATION,
        "database",
        Level.FAULT,
        "at migration 0004",
        "run `carillon migrate`",
    ),
    Planted(
        "a queue that does not answer",
        setting(QUEUE_URL="redis://127.0.0.1:1/0"),
        "queue",
        Level.FAULT,
        "cannot be used: it cannot be reached",
        "Mend that where it runs",
    ),
    Planted(
        "a worker that vanished",
        planting.gone_worker,
        "workers",
        Level.FAULT,
        "none is running",
        "start `carillon worker`",
    ),
    Planted(
        "another secret key than the others have",
        planting.other_key,
        "keys",
        Level.FAULT,
        "under the key 0badc0de",
        "set the same CARILLON_SECRET_KEY everywhere",
    ),
    Planted(
        "clocks that differ",
        planting.skewed,
        "clocks",
        Level.FAULT,
        "differ by 90 seconds",
        "let both follow a time server",
        postgresql=True,
    ),
    Planted(
        "connections near their limit",
        lambda installed: installed.patch.setattr("backend.doctor.engine._BUSY", 0.0),
        "connections",
        Level.WARNING,
        "connections of PostgreSQL are taken",
        "raise max_connections or use a pooler",
        postgresql=True,
    ),
    Planted(
        "a transaction that does not end",
        planting.long_transaction,
        "connections",
        Level.WARNING,
        "a transaction has been open for",
        "End it",
        postgresql=True,
    ),
    Planted(
        "a queue that one machine sees, beside PostgreSQL",
        planting.local_queue,
        "sharing",
        Level.WARNING,
        "this machine alone sees",
        "Unset CARILLON_QUEUE_URL, or name Redis",
        postgresql=True,
    ),
    Planted(
        "SQLite's log grows",
        planting.log_grows,
        "growth",
        Level.WARNING,
        "has 600 MiB",
        "Look for a backup or a shell that has it open, and end that",
    ),
    Planted(
        "the disk fills",
        planting.disk_fills,
        "growth",
        Level.WARNING,
        "97 % full",
        "make room, or keep messages for fewer days",
    ),
    Planted(
        "a mail server that is not there",
        setting(EMAIL_PROVIDERS="smtp://127.0.0.1:1"),
        "smtp",
        Level.FAULT,
        "refused",
        "Compare CARILLON_EMAIL_PROVIDERS",
    ),
    Planted(
        "a mail server without the TLS that is wanted",
        planting.no_tls,
        "smtp",
        Level.FAULT,
        "STARTTLS",
        "Compare CARILLON_EMAIL_PROVIDERS",
    ),
    Planted(
        "a mail server of an authority that nobody knows",
        planting.unknown_authority,
        "smtp",
        Level.FAULT,
        "certificate",
        "Compare CARILLON_EMAIL_PROVIDERS",
    ),
    Planted(
        "a mail server that refuses the password",
        planting.wrong_password,
        "smtp",
        Level.FAULT,
        "535",
        "Compare CARILLON_EMAIL_PROVIDERS",
    ),
    Planted(
        "a mail server that refuses the sender",
        planting.sender_refused,
        "smtp",
        Level.FAULT,
        "not your domain",
        "CARILLON_MAIL_FROM",
    ),
    Planted(
        "a mail server's certificate that ends",
        planting.mail_certificate_ends,
        "smtp",
        Level.WARNING,
        " ends on ",
        "have it renewed",
    ),
    Planted(
        "the site's certificate ends",
        lambda installed: planting.site(installed, ends_in=timedelta(days=9)),
        "certificate",
        Level.WARNING,
        "notify.lab.example ends on",
        "have it renewed",
    ),
    Planted(
        "the site's certificate is refused",
        lambda installed: planting.site(installed, ends_in=timedelta(days=99), trusted=False),
        "certificate",
        Level.FAULT,
        "its certificate is refused",
        "renew it or serve the whole chain",
    ),
    Planted(
        "letters that nobody fetches", planting.letters, "letters", Level.WARNING, "1 letters", "print and remove them"
    ),
    Planted(
        "a batch that was held and forgotten",
        planting.held_batch,
        "batches",
        Level.WARNING,
        "1 of Laboratory",
        "Their team lets them go in the portal",
    ),
    Planted(
        "a template whose messages fail",
        planting.failing_template,
        "templates",
        Level.WARNING,
        "Laboratory X_SAMPLE (3 of 3 messages)",
        "Their teams see why",
    ),
    Planted(
        "a backup that is old",
        _BACKED_UP,
        "backup",
        Level.WARNING,
        "the last backup is 9 days old",
        "look why the nightly one fails",
    ),
    Planted(
        "no backup at all",
        _NEVER_BACKED_UP,
        "backup",
        Level.WARNING,
        "no backup has ever been made",
        "run `carillon backup` every night",
    ),
)


def table() -> str:
    """Write the table of the handbook."""
    rows = [
        f"| {one.fault}{' (PostgreSQL)' if one.postgresql else ''} | {one.name} | {one.level} | … {one.says.strip()} … "
        f"| {one.do.strip()} |"
        for one in FAULTS
    ]
    return "\n".join(["| planted | found by | as | says | what to do |", "| --- | --- | --- | --- | --- |", *rows])


if __name__ == "__main__":
    head, _, _ = PAGE.read_text(encoding="utf-8").partition("| planted |")
    PAGE.write_text(f"{head}{table()}\n", encoding="utf-8")
