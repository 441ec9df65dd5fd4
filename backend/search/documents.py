"""Gathering what notifications are found by: their subjects, addresses, recipients, ids and the values of fields."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, cast

import msgspec
from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from backend.channels.addresses import masked
from backend.db.models.accounts import Service
from backend.db.models.batches import Batch, BatchMember
from backend.db.models.jobs import Job
from backend.db.models.notifications import Delivery, Notification, NotificationStatus
from backend.db.models.search import SearchEntry
from backend.db.statements import listed
from backend.registry import lookup
from backend.registry.lookup import FoundTemplate
from backend.search import subjects, words
from backend.search.asked import Part, field_values, parts_of
from backend.search.subjects import Wanted

# Of one notification, with the spaces between them: PostgreSQL takes 1,048,575 bytes of words for one row.
_MOST_BYTES = 900_000
_MOST_MEMBERS = 1_000
# Of all notifications that are gathered together.
_MOST_MESSAGES = 50_000


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """The words of a notification, separated by spaces, and its subject as it was rendered."""

    notification_id: int
    service_id: int
    subject: str | None
    words: str


class Sent(msgspec.Struct, frozen=True):
    """One message of a notification: of a channel, or of a batch that the notification is in."""

    channel_index: int
    type: str
    address: str
    version_id: int
    batch_id: int | None


_notifications = cast("Table", Notification.__table__).c
_deliveries = cast("Table", Delivery.__table__).c
_members = cast("Table", BatchMember.__table__).c
_ROWS = (
    select(
        _notifications.id,
        _notifications.uid,
        _notifications.service_id,
        _notifications.status,
        _notifications.aggregator_id,
        _notifications.content,
        _notifications.job_id,
    )
    .where(listed(_notifications.id, "rows"))
    .order_by(_notifications.id)
)
_MESSAGE = (_deliveries.type, _deliveries.address, _deliveries.template_version_id, _deliveries.batch_id)
_OWN = (
    select(_deliveries.notification_id, _deliveries.channel_index, *_MESSAGE)
    .where(listed(_deliveries.notification_id, "rows"))
    .order_by(_deliveries.id)
)
_BATCHED = (
    select(_members.notification_id, _members.channel_index, *_MESSAGE)
    .join(Delivery, _deliveries.batch_id == _members.batch_id)
    .where(listed(_members.notification_id, "rows"), _members.removed_at.is_(None))
    .order_by(_deliveries.id)
)

_OF_ADDRESSES = (
    select(_members.notification_id, Batch.type, Batch.address)
    .join(Batch, Batch.id == _members.batch_id)
    .where(listed(_members.notification_id, "rows"), _members.removed_at.is_(None), Batch.address.is_not(None))
)


def entries(session: Session, rows: Collection[int]) -> list[Entry]:
    """Gather the words of these notifications, of which some may be gone, in the order of their rows."""
    if not rows:
        return []
    found = session.execute(_ROWS, {"rows": list(rows)}).all()
    sent = messages(session, rows)
    if len(rows) > 1 and sum(map(len, sent.values())) >= _MOST_MESSAGES:
        ordered = sorted(rows)
        middle = len(ordered) // 2
        return entries(session, ordered[:middle]) + entries(session, ordered[middle:])
    parts = {row.id: parts_of(row.content) for row in found}
    titles = _subjects(session, found, parts, sent)
    jobs = _jobs(session, {row.job_id for row in found if row.job_id is not None})
    waiting = _waiting_addresses(session, [row.id for row in found if not sent[row.id]])
    own = set(session.scalars(select(Service.id).where(Service.built_in)))
    return [
        _entry(
            row,
            titles.get(row.id),
            [*((one.type, one.address) for one in sent[row.id]), *waiting[row.id]],
            jobs,
            [] if row.service_id in own else parts[row.id],
        )
        for row in found
    ]


def subjects_of(session: Session, rows: Collection[int]) -> dict[int, str]:
    """Return the subjects of notifications by their rows, also of those that were accepted just now.

    Of the latter only what may be rendered here and now is; one without a subject is absent.
    """
    kept = select(SearchEntry.notification_id, SearchEntry.subject).where(SearchEntry.notification_id.in_(rows))
    known: dict[int, str | None] = dict(session.execute(kept).all()) if rows else {}
    new = [row for row in rows if row not in known]
    titles: dict[int, str] = {}
    if new:
        found = session.execute(_ROWS, {"rows": new}).all()
        parts = {row.id: parts_of(row.content) for row in found}
        titles = _subjects(session, found, parts, messages(session, new, _MOST_MEMBERS), at_once=True)
    return titles | {row: subject for row, subject in known.items() if subject}


def messages(session: Session, rows: Collection[int], most: int = _MOST_MESSAGES) -> defaultdict[int, list[Sent]]:
    """Return the messages of notifications by their rows, also those that they share with others of a batch.

    There may be ``most`` of either kind; the later ones are left out.
    """
    found: defaultdict[int, list[Sent]] = defaultdict(list)
    for statement in (_OWN.limit(most), _BATCHED.limit(most)):
        wanted = [row for row in rows if row not in found]  # whoever has messages of its own is in no batch
        for row, index, kind, address, version_id, batch_id in (
            session.execute(statement, {"rows": wanted}) if wanted else ()
        ):
            found[row].append(Sent(index or 0, kind, address, version_id, batch_id))
    return found


def _waiting_addresses(session: Session, rows: Collection[int]) -> defaultdict[int, list[tuple[str, str]]]:
    """Return the channels and addresses to which batches go that have no messages, yet or for good."""
    found: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
    for row, kind, address in session.execute(_OF_ADDRESSES, {"rows": list(rows)}) if rows else ():
        found[row].append((kind, address))
    return found


def _entry(
    row: Any, subject: str | None, sent: Sequence[tuple[str, str]], jobs: dict[int, str], parts: Sequence[Part]
) -> Entry:
    # In this order, for the last ones are left out where there are too many. A dictionary keeps it.
    found = dict.fromkeys([words.of_service(row.service_id), *words.of_id(row.uid)])
    texts = [subject, row.aggregator_id]
    if row.job_id is not None:
        texts.append(jobs.get(row.job_id))
    for part in parts:
        texts += [part.template_id, *part.recipient, part.subject]
    for kind, address in sent:
        found |= dict.fromkeys(words.of_addresses(address))
        texts.append(masked(kind, address))
    texts += [text for _, text in field_values(parts)]
    for text in filter(None, texts):
        found |= dict.fromkeys(words.of_text(text))
    kept = " ".join(found)
    if len(kept) * 4 > _MOST_BYTES:
        kept = kept.encode()[:_MOST_BYTES].decode(errors="ignore").rpartition(" ")[0]
    return Entry(notification_id=row.id, service_id=row.service_id, subject=subject, words=kept)


def _jobs(session: Session, identities: Collection[int]) -> dict[int, str]:
    if not identities:
        return {}
    return dict(session.execute(select(Job.id, Job.name).where(Job.id.in_(identities))).all())


def _subjects(
    session: Session,
    found: Sequence[Any],
    parts: dict[int, list[Part]],
    sent: dict[int, list[Sent]],
    *,
    at_once: bool = False,
) -> dict[int, str]:
    """Return the subjects that were given or are rendered; the message of a batch is rendered once for all of it."""
    titles = {
        row: title for row, some in parts.items() if (title := subjects.of_first([part.subject for part in some]))
    }
    missing = [row for row in found if row.id not in titles]
    versions = lookup.versions(session, {one.version_id for row in missing for one in sent[row.id]})
    wanted: dict[int, Wanted] = {}
    first_of_batch: dict[int, int] = {}
    same_as: dict[int, int] = {}
    for row in missing:
        one = next((one for one in sent[row.id] if _has_subject(one, versions, parts[row.id])), None)
        if one is None:
            waiting = _before_dispatch(session, row, parts[row.id])
            wanted |= {row.id: waiting} if waiting is not None else {}
        elif one.batch_id is None:
            wanted[row.id] = Wanted(row.service_id, versions[one.version_id], parts[row.id][one.channel_index].fields)
        elif (first := first_of_batch.setdefault(one.batch_id, row.id)) == row.id:
            wanted[row.id] = Wanted(row.service_id, versions[one.version_id], _batch_fields(session, one.batch_id))
        else:
            same_as[row.id] = first
    titles |= subjects.rendered(wanted, at_once=at_once)
    return titles | {row: titles[first] for row, first in same_as.items() if first in titles}


def _has_subject(one: Sent, versions: dict[int, FoundTemplate], parts: Sequence[Part]) -> bool:
    return one.channel_index < len(parts) and one.version_id in versions and bool(versions[one.version_id].subject)


def _before_dispatch(session: Session, row: Any, parts: Sequence[Part]) -> Wanted | None:
    """Take a notification that waits in a batch for the only one of it."""
    if row.status != NotificationStatus.BUFFERED.value:
        return None
    for part in parts:
        version = lookup.templates(session, row.service_id, [part.template_id]).get(part.template_id)
        if version is not None and version.subject:
            return Wanted(row.service_id, version, [part.fields])
    return None


def _batch_fields(session: Session, batch_id: int) -> list[Any]:
    """Return the fields of a batch's members in order of arrival, up to so many."""
    members = (
        select(Notification.content, BatchMember.channel_index)
        .join(Notification, Notification.id == BatchMember.notification_id)
        .where(BatchMember.batch_id == batch_id, BatchMember.removed_at.is_(None))
        .order_by(BatchMember.seq)
        .limit(_MOST_MEMBERS)
    )
    return [parts_of(content)[index].fields for content, index in session.execute(members)]
