"""Erasing a person's address, or counting what that would change, by the same steps."""

import msgspec
from sqlalchemy import func, select

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.db import database as db
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.erasure import address_columns, personal, remains
from backend.erasure.person import Person
from backend.erasure.remains import Act


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """What was, or would be, changed.

    ``tables`` counts rows by table. ``cancelled`` are messages that waited, those of batches included; ``blanked`` are
    notifications that went to the person alone, whose fields and files are gone too. ``in_flight`` are messages that a
    worker has at this moment: they keep the address until it is run again. ``audit_entries`` are kept as they are.
    """

    pseudonym: str
    tables: dict[str, int]
    cancelled: int
    blanked: int
    in_flight: int = msgspec.field(name="in_hand")  # as it has been printed from the first
    audit_entries: int
    to_be_seen_to: list[Act]


def erase(person: Person, by: Actor, *, from_groups: bool, dry_run: bool) -> Erased:
    """Take an address out of all that is kept; ``from_groups`` also out of the recipient groups of services.

    Each step is done in short transactions, so that others can work meanwhile, and may be done again: a run that was
    cut short is finished by the next.
    """
    cancelled = personal.cancel(person, dry_run=dry_run)
    tables = {
        "rejection_days": remains.rejections(person, dry_run=dry_run),
        "file_links": remains.links(person, dry_run=dry_run),
        "upload_pieces": remains.uploads(person, dry_run=dry_run),
        "endpoints": remains.endpoints(person, by, live=from_groups, dry_run=dry_run),
    }
    tables |= {
        table_columns.name: address_columns.clear(table_columns, person, dry_run=dry_run)
        for table_columns in address_columns.ALL
    }
    blanked = personal.blank(person, dry_run=dry_run)
    personal.blank_outbox(person, dry_run=dry_run)
    # The last: by the addresses of deliveries and batches it is known what is the person's, should a run be cut short.
    tables |= {
        table_columns.name: address_columns.clear(table_columns, person, dry_run=dry_run)
        for table_columns in address_columns.LAST
    }
    with db.current().read() as session:
        acts = remains.to_be_seen_to(session, person)
        kept = remains.audited(session, person)
        in_flight = session.scalar(
            select(func.count())
            .select_from(Delivery)
            .where(Delivery.status == DeliveryStatus.SENDING.value, personal.goes_to(person, Delivery.address))
        )
    found = Erased(
        pseudonym=person.pseudonym,
        tables=dict(sorted(tables.items())),
        cancelled=cancelled,
        blanked=blanked,
        in_flight=in_flight or 0,
        audit_entries=kept,
        to_be_seen_to=acts,
    )
    if not dry_run:
        with db.current().transaction() as session:
            detail = {"rows": sum(tables.values()), "cancelled": cancelled, "blanked": blanked}
            audit.record(session, by, "address.erased", person.pseudonym, service_id=None, detail=detail)
    return found
