"""People who sign in and messages in the outbox, for tests of pages."""

from functools import lru_cache
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.accounts import passwords, users
from backend.accounts.users import Role
from backend.db.database import Database
from backend.db.models.accounts import Service
from backend.db.models.notifications import Delivery, Notification, OutboxMessage, Priority
from backend.db.models.registry import Template, TemplateVersion
from backend.lib import clock, ids

PASSWORD = "a long enough password"
# A hash takes long, as it should; one does for everybody of a run.
_hash_once = lru_cache(maxsize=8)(passwords.make_hash)
HTML = (
    "<!doctype html><html><body style='margin:0;background:#eef;font-family:sans-serif'>"
    "<h1 style='color:#036;padding:24px'>Sample 40STDY246690 has failed</h1>"
    "<p style='padding:0 24px'>Its volume is too low. </p></body></html>"
)


def service(database: Database, name: str = "Lab LIMS", *, live: bool = False) -> int:
    """Store a service, or find the one of this name, and return its id."""
    with database.transaction() as session:
        found = session.scalar(select(Service).where(Service.name == name))
        if found is None:
            found = Service(name=name, live=live)
            session.add(found)
            session.flush()
        return found.id


def user(
    database: Database,
    email: str = "ada@lab.example",
    *,
    member_of: int | None = None,
    role: Role = "viewer",
    **more: Any,
) -> int:
    """Store a user with the password ``PASSWORD`` and return their id."""
    with database.transaction() as session, pytest.MonkeyPatch.context() as patched:
        patched.setattr(passwords, "make_hash", _hash_once)
        owner = session.get(Service, member_of) if member_of else None
        return users.create_user(session, email, PASSWORD, service=owner, role=role if owner else None, **more).id


def message(database: Database, service_id: int, subject: str | None = "A sample has failed", **more: Any) -> UUID:
    """Store an outbox message with all that it hangs on, and return its delivery's public id."""
    values = {
        "channel": "EMAIL",
        "sender": "Carillon <carillon@lab.example>",
        "address": "lab@lab.example",
        "text": "Sample 40STDY246690 has failed.\n\nIts volume is too low.",
        "html": HTML,
        "created_at": clock.now(),
    } | more
    with database.transaction() as session:
        version_id = _template_version(session, service_id)
        notification = Notification(
            uid=ids.random_id(), service_id=service_id, priority=Priority.NORMAL, status="SENT", accepted_at=clock.now()
        )
        session.add(notification)
        session.flush()
        delivery = Delivery(
            uid=ids.random_id(),
            notification_id=notification.id,
            service_id=service_id,
            priority=Priority.NORMAL,
            channel_index=0,
            type=values["channel"],
            template_version_id=version_id,
            recipients=["X_LAB"],
            address=values["address"],
            status="SENT",
            due_at=clock.now(),
        )
        session.add(delivery)
        session.flush()
        session.add(OutboxMessage(delivery_id=delivery.id, service_id=service_id, subject=subject, **values))
        return delivery.uid


def _template_version(session: Any, service_id: int) -> int:
    identifier = f"X_SAMPLE_{service_id}"
    template = session.scalar(select(Template).where(Template.identifier == identifier))
    if template is None:
        template = Template(identifier=identifier, service_id=service_id, current_version=1)
        session.add(template)
        session.flush()
        session.add(
            TemplateVersion(
                template_id=template.id,
                number=1,
                name="Sample",
                format="html",
                source="<p></p>",
                content_hash="0" * 64,
                created_by="tests",
            )
        )
        session.flush()
    found: int = session.scalar(select(TemplateVersion.id).where(TemplateVersion.template_id == template.id))
    return found
