"""Looks at what is at work: database, disk, queue, providers, workers, messages, the ledger."""

import shutil
from functools import partial

from sqlalchemy import text

from backend.channels.base import Channel
from backend.channels.mail_records import Record, RecordState
from backend.db import database as db
from backend.db import migrate, probe
from backend.db.leases import LENGTH
from backend.db.migrate import Fit
from backend.delivery.providers import mailboxes
from backend.delivery.providers import routes as delivery_routes
from backend.doctor.examination import Check, Fault
from backend.lib import clamd, clock, queue, queue_storage, settings
from backend.lib.clamd import ScannerFault
from backend.monitoring import gauges, ledger, obligation_ledger, providers
from backend.monitoring.gauges import Depths
from backend.restored import report as restored

LEAST_FREE = 64 * 1024 * 1024
# What is due is taken up within a second or two; a minute is more than any worker at work needs.
_OVERDUE_SECONDS = 60
_MOST_ENTRIES = 20


def _database() -> str:
    database = db.current()
    with database.read() as session:
        session.execute(text("SELECT 1"))
    standing = migrate.standing(database)
    if standing.fit is Fit.BEYOND:
        raise Fault(standing.sentence())
    if not standing.usable:
        raise Fault(f"at migration {standing.present or 'none'}, but {standing.head} is needed: run `carillon migrate`")
    machine = " (for one machine)" if database.is_sqlite else ""
    newer = f", newer than this release of {standing.head}" if standing.fit is Fit.AHEAD else ""
    return f"{database.url.get_backend_name()}{machine}, at migration {standing.present}{newer}"


def _storage() -> str:
    probe.try_to_write(db.current())
    folder = settings.current().data_dir
    left = shutil.disk_usage(folder).free if folder.exists() else None
    if left is not None and left < LEAST_FREE:
        raise Fault(f"the disk of {folder} has {left // 1024**2} MiB left: make room before it is full")
    return "the database can be written to" + (f", the disk of {folder} has {left // 1024**2} MiB left" if left else "")


def _queue() -> str:
    huey = queue.bind()
    queue_storage.try_to_write(huey)
    kind = settings.current().queue_url.partition(":")[0]
    remark = queue_storage.remark(huey)
    if remark is not None:
        raise Fault(f"{kind}: {remark}")
    return f"{kind}, it takes what is written, {huey.pending_count()} wake-ups waiting"


def _providers() -> str:
    routes = delivery_routes.routes()
    return "; ".join(
        f"{channel.value}: {', '.join(provider.describe() for provider in routes[channel]) or 'outbox'}"
        for channel in Channel
    )


def _scanner() -> str:
    address = settings.current().scanner
    if address is None:
        return "none is set: attachments are not looked through for viruses"
    try:
        clamd.ping(address)
    except ScannerFault as fault:
        raise Fault(
            f"{address[0]}:{address[1]} does not answer: {fault}, and notifications with attachments are refused"
        ) from fault
    return f"{address[0]}:{address[1]} answers"


def _routes() -> str:
    with db.current().read() as session:
        found = providers.providers(session)
    trouble = [words for one in found if (words := one.trouble)]
    if trouble:
        raise Fault(" ".join(trouble))
    return f"{len(found)} providers, none of them held back"


def _records(record: Record) -> str:
    """Say what the DNS has of one kind for each sender domain; what is not there is told, what is wrong is a fault."""
    found = providers.report().of(record)
    faults = [f"{domain}: {one.advice}" for domain, one in found if one.is_fault]
    if faults:
        raise Fault(" ".join(faults))
    told = [
        f"{domain} {one.state}" + ("" if one.state is RecordState.GOOD else f" ({one.advice})") for domain, one in found
    ]
    return "; ".join(told) or "nothing to look at: no mail is sent from, or bounces to, a domain of the world's DNS"


def _bounces() -> str:
    mailbox = settings.current().bounces
    if mailbox is None:
        return "no mailbox is read for them (CARILLON_BOUNCES); `carillon receipts address` is the other way"
    with db.current().read() as session:
        found = mailboxes.progress(session, mailbox.key)
    if found is not None and found.trouble:
        raise Fault(found.trouble)
    if found is None or found.read_at is None:
        return f"{mailbox.label} has not been read yet; a worker does so once a minute"
    return f"{mailbox.label}, read at {clock.iso(found.read_at)}"


def _depths() -> Depths:
    with db.current().read() as session:
        return gauges.measure(session)


def _workers() -> str:
    """An installation in which nothing waits is well without a worker; one that vanished is never well."""
    found = _depths()
    if found.workers:
        silent = (
            f"; {found.silent_workers} fell silent, and their messages are taken up" if found.silent_workers else ""
        )
        return f"{found.workers} running, heard of in the last {LENGTH.seconds} seconds{silent}"
    if found.silent_workers:
        heard = f"the last was heard of {found.heartbeat_seconds:.0f} seconds ago"
        raise Fault(f"none is running, {heard} and did not stop as asked: start `carillon worker`")
    if found.waiting or found.open_batches or found.full_batches:
        held = f"{found.waiting} messages and {found.open_batches + found.full_batches} batches wait"
        raise Fault(f"none is running, and {held}: start `carillon worker`")
    return "none is running; nothing waits for one (`carillon worker` starts it)"


def _messages() -> str:
    found = _depths()
    overdue = max(found.oldest_seconds.values())
    if overdue > _OVERDUE_SECONDS:
        raise Fault(
            f"{found.waiting} wait, the longest for {overdue:.0f} seconds beyond its time: see workers and routes"
        )
    return f"{found.waiting} wait, {found.sending} are in workers' hands, none is overdue"


def _unknown() -> str:
    found = _depths()
    if found.outcome_unknown:
        hours, seconds = divmod(int(found.unknown_seconds), 3600)
        raise Fault(
            f"{found.outcome_unknown} messages of which nobody knows whether their provider took them, the oldest for "
            f"{hours} h {seconds // 60} min: decide in the portal whether they are sent again"
        )
    return "no message is in doubt"


def _restored_hold() -> str:
    with db.current().read() as session:
        found = restored.held(session)
    if found.since is not None:
        raise Fault(
            f"{found.total} messages, batches, callbacks and jobs are held back since {clock.iso(found.since)}. "
            f"{found.why} `carillon held` shows them; `release`, `mark-sent` or `cancel` after it decides"
        )
    return "nothing is held back: this is no restored database about which nobody has decided"


def _ledger() -> str:
    with db.current().read() as session:
        entries = ledger.balance(session)
    uneven = [entry.describe() for entry in entries if entry.imbalance]
    if uneven:
        raise Fault("messages are missing or too many: " + "; ".join(uneven))
    accepted = sum(entry.accepted for entry in entries)
    most = sorted(entries, key=lambda entry: entry.accepted, reverse=True)[:_MOST_ENTRIES]
    lines = [f"{accepted} messages accepted since yesterday, every one accounted for", *map(_line, most)]
    return "\n".join(lines) + (f"\n{'':18}and {len(entries) - len(most)} more" if len(most) < len(entries) else "")


def _line(entry: ledger.Entry) -> str:
    return f"{'':18}{entry.describe()}"


def _obligations() -> str:
    with db.current().read() as session:
        entries = obligation_ledger.balance(session)
    if uneven := [entry.describe() for entry in entries if entry.imbalance]:
        raise Fault("obligations are missing or too many: " + "; ".join(uneven))
    return f"{sum(entry.opened for entry in entries)} obligations opened since yesterday, every one accounted for"


CHECKS = (
    Check("database", _database),
    Check("storage", _storage, of_database=True),
    Check("queue", _queue),
    Check("providers", _providers),
    Check("scanner", _scanner),
    Check("routes", _routes, of_database=True),
    Check("workers", _workers, of_database=True),
    Check("messages", _messages, of_database=True),
    Check("doubt", _unknown, of_database=True),
    Check("held", _restored_hold, of_database=True),
    Check("ledger", _ledger, of_database=True),
    Check("obligations", _obligations, of_database=True),
    Check("bounces", _bounces, of_database=True),
    *(Check(record.lower(), partial(_records, record), of_database=True) for record in Record),
)
