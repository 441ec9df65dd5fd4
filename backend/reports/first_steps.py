"""How far a new service has come, and the identifiers with which its examples are written."""

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.accounts import ApiClient, Service
from backend.db.models.notifications import Notification
from backend.db.models.registry import Endpoint, Recipient, Template, TemplateVersion


class FirstSteps(msgspec.Struct, frozen=True, kw_only=True):
    """The first of each thing that a service needs; None where it has none yet. ``notification`` is any of them."""

    recipient: str | None
    template: str | None
    client: str | None
    notification: bool
    live: bool

    @property
    def done(self) -> bool:
        """Tell whether nothing is left to do."""
        return all((self.recipient, self.template, self.client, self.notification, self.live))


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """What a service can send as an example: a recipient with an address of a channel, a template with its fields.

    Each is None where the service has none; ``fields`` is the template's sample, an object.
    """

    client: str | None
    recipient: str | None
    channel: str
    template: str | None
    subject_needed: bool
    fields: dict[str, object]


def of_service(session: Session, service_id: int) -> FirstSteps:
    """Look for the first recipient with an address, template, live API client and accepted notification."""
    sent = select(Notification.id).where(Notification.service_id == service_id).limit(1)
    return FirstSteps(
        recipient=_recipient(session, service_id)[0],
        template=_template(session, service_id)[0],
        client=_client(session, service_id),
        notification=session.scalar(sent) is not None,
        live=session.scalar(select(Service.live).where(Service.id == service_id)) is True,
    )


def example(session: Session, service_id: int) -> Example:
    """Choose the identifiers of the service's examples."""
    recipient, channel = _recipient(session, service_id)
    template, subject, fields = _template(session, service_id)
    return Example(
        client=_client(session, service_id),
        recipient=recipient,
        channel=channel,
        template=template,
        subject_needed=subject is None,
        fields=fields,
    )


def _recipient(session: Session, service_id: int) -> tuple[str | None, str]:
    found = session.execute(
        select(Recipient.identifier, Endpoint.type)
        .join(Endpoint, Endpoint.recipient_id == Recipient.id)
        .where(Recipient.service_id == service_id, Recipient.deleted_at.is_(None))
        .order_by(Endpoint.type != "EMAIL", Recipient.id, Endpoint.position)
        .limit(1)
    ).first()
    return (found[0], found[1]) if found else (None, "EMAIL")


def _template(session: Session, service_id: int) -> tuple[str | None, str | None, dict[str, object]]:
    found = session.execute(
        select(Template.identifier, TemplateVersion.subject, TemplateVersion.sample_fields)
        .join(
            TemplateVersion,
            (TemplateVersion.template_id == Template.id) & (TemplateVersion.number == Template.current_version),
        )
        .where(Template.service_id == service_id, Template.deleted_at.is_(None))
        .order_by(Template.id)
        .limit(1)
    ).first()
    if found is None:
        return None, None, {}
    sample = found[2][0] if isinstance(found[2], list) and found[2] else found[2]
    return found[0], found[1], sample if isinstance(sample, dict) else {}


def _client(session: Session, service_id: int) -> str | None:
    own = (ApiClient.service_id == service_id, ApiClient.revoked_at.is_(None))
    return session.scalar(select(ApiClient.client_id).where(*own).order_by(ApiClient.id).limit(1))
