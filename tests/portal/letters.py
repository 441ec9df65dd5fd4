"""The e-mails that Carillon sends to people itself, as tests follow their links."""

import json
from urllib.parse import urlsplit

from sqlalchemy import select

from backend.db.database import Database
from backend.db.models.accounts import Service
from backend.db.models.notifications import Delivery, Notification
from backend.lib import aside


def letters(database: Database) -> list[tuple[str, dict[str, str]]]:
    """List them, oldest first: the address, and the fields with ``subject``; those under way are waited for."""
    aside.wait_until_done()
    with database.read() as session:
        rows = session.execute(
            select(Delivery.address, Notification.content)
            .join(Notification, Delivery.notification_id == Notification.id)
            .join(Service, Delivery.service_id == Service.id)
            .where(Service.built_in)
            .order_by(Delivery.id)
        ).all()
    parts = [(address, json.loads(content or "")["channels"][0]) for address, content in rows]
    return [(address, {**part["fields"], "subject": part["subject"]}) for address, part in parts]


def link(database: Database) -> str:
    """Return the address, without the host, to which the newest of them leads."""
    parts = urlsplit(letters(database)[-1][1]["link"])
    return f"{parts.path}?{parts.query}"


def key(database: Database) -> str:
    """Return the secret of the newest link."""
    return link(database).partition("key=")[2]
