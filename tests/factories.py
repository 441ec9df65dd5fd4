"""Things that tests need to be there: a service with an API client, recipients and templates."""

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select

from backend.accounts import clients, senders, services
from backend.accounts.clients import NewClient
from backend.accounts.reach import Manner
from backend.accounts.senders import NewSender
from backend.db.database import Database
from backend.db.models.accounts import Service
from backend.db.models.senders import Sender
from backend.intake.content import Submission
from backend.registry import recipients, templates
from backend.registry.lookup import Address
from backend.registry.templates import TemplateContent
from backend.reports import notification as reports
from backend.reports.model import NotificationReport

HTML = "<html><body><h1>Sample {{ fields.sample_id }}</h1><p>{{ note | default('no note') }}</p></body></html>"
BATCH_HTML = "<ul>{% for field in fields %}<li>{{ field['sample-id'] }}</li>{% endfor %}</ul>"


@dataclass
class Laboratory:
    """A registered service: ``client`` is its API client, with the secret."""

    database: Database
    service_id: int
    client: NewClient
    sent: int = field(default=0)

    def recipient(self, identifier: str, *endpoints: tuple[str, str], language: str | None = None) -> None:
        """Register a recipient group with ``(type, address)`` endpoints."""
        with self.database.transaction() as session:
            addresses = recipients.canonical_endpoints([Address(kind, address) for kind, address in endpoints])
            recipients.put(session, self.service_id, identifier, identifier.title(), addresses, language)

    def template(self, identifier: str, source: str = HTML, **content: Any) -> None:
        """Publish a version of a template."""
        values = {"name": identifier.title(), "format": "html", **content}
        with self.database.transaction() as session:
            templates.put(session, self.service_id, identifier, TemplateContent(source=source, **values), "tests")

    def sender(self, address: str, kind: str = "from", *, name: str = "", default: bool = False) -> UUID:
        """Register a sender that was verified; return its id."""
        with self.database.transaction() as session:
            link = senders.add(session, self.service_id, NewSender(kind, address, name), "tests")
            senders.verify(session, link.secret, None)
            own = (Sender.service_id == self.service_id, Sender.address == link.address, Sender.kind == kind)
            uid = session.scalars(select(Sender.uid).where(*own)).one()
            if default:
                senders.make_default(session, self.service_id, uid)
            return uid

    def submission(self, body: object, client: NewClient | None = None) -> Submission:
        """Take a body as this service's client, or another one, would send it."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sender = client or self.client
        return Submission(self.service_id, sender.id, raw, manner=Manner(sender.mode, sender.redirect))

    def report(self, notification_id: str) -> NotificationReport:
        """Read a notification back, as its service sees it."""
        with self.database.read() as session:
            found = reports.report(session, self.service_id, UUID(notification_id))
        assert found is not None
        return found

    def another(self, mode: str, redirect: str | None = None) -> NewClient:
        """Make one more client, of a mode."""
        with self.database.transaction() as session:
            owner = session.get_one(Service, self.service_id)
            manner = clients.checked_manner(mode, redirect)
            return clients.create_client(session, owner, f"A client of {mode}", manner=manner)


def laboratory(database: Database, name: str = "Laboratory", **service: Any) -> Laboratory:
    """Register a service with a client, the group ``X_LAB`` of one mailbox and the template ``X_SAMPLE``."""
    with database.transaction() as session:
        owner = services.create_service(session, name, live=True, **service)
        client = clients.create_client(session, owner, "lims")
    made = Laboratory(database, owner.id, client)
    prefix = "X" if name == "Laboratory" else name[0].upper()
    made.recipient(f"{prefix}_LAB", ("EMAIL", "lab@lab.example"))
    made.template(f"{prefix}_SAMPLE")
    return made


def notification(sample_id: str = "S-1", **changes: Any) -> dict[str, Any]:
    """Write a notification to ``X_LAB`` made from ``X_SAMPLE``; ``changes`` are to its one channel or to itself."""
    own = ("priority", "aggregator_id", "matter", "channels", "send_at")
    whole = {name: changes.pop(name) for name in own if name in changes}
    channel = {
        "type": "EMAIL",
        "recipient": ["X_LAB"],
        "subject": "A sample has failed",
        "content_type": "html",
        "template_id": "X_SAMPLE",
        "fields": {"sample_id": sample_id},
    }
    channel |= changes
    channel = {name: value for name, value in channel.items() if value is not ...}
    return {"channels": [channel], "priority": "NORMAL"} | {name: one for name, one in whole.items() if one is not ...}
