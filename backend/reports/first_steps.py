"""How far a new service has come, and the identifiers with which its examples are written."""

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.accounts import ApiClient, Service
from backend.db.models.notifications import Notification
from backend.db.models.registry import Endpoint, Recipient, Template, TemplateVersion

# Of so many templates one is chosen as an example.
_TEMPLATES = 50


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

    Each is None where the service has none; ``fields`` is the template's sample, an object. ``batch_template`` is one
    that was written for a list, as its sample shows.
    """

    client: str | None
    recipient: str | None
    channel: str
    template: str | None
    subject_needed: bool
    fields: dict[str, object]
    batch_template: str | None = None
    batch_subject_needed: bool = True
    batch_fields: dict[str, object] = {}


def of_service(session: Session, service_id: int) -> FirstSteps:
    """Look for the first recipient with an address, template, live API client and accepted notification."""
    # Ordered as an index is, which has a service without any answered as quickly.
    first = (Notification.created_at, Notification.id)
    sent = select(Notification.id).where(Notification.service_id == service_id).order_by(*first).limit(1)
    return FirstSteps(
        recipient=_recipient(session, service_id)[0],
        template=_template(session, service_id)[0] or _template(session, service_id, batch=True)[0],
        client=_client(session, service_id),
        notification=session.scalar(sent) is not None,
        live=session.scalar(select(Service.live).where(Service.id == service_id)) is True,
    )


def example(session: Session, service_id: int) -> Example:
    """Choose the identifiers of the service's examples."""
    recipient, channel = _recipient(session, service_id)
    template, subject, fields = _template(session, service_id)
    batch_template, batch_subject, batch_fields = _template(session, service_id, batch=True)
    return Example(
        client=_client(session, service_id),
        recipient=recipient,
        channel=channel,
        template=template,
        subject_needed=subject is None,
        fields=fields,
        batch_template=batch_template,
        batch_subject_needed=batch_subject is None,
        batch_fields=batch_fields,
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


def _template(
    session: Session, service_id: int, *, batch: bool = False
) -> tuple[str | None, str | None, dict[str, object]]:
    """Return the first template that was written for one notification, or for a list, with subject and sample."""
    found = session.execute(
        select(Template.identifier, TemplateVersion.subject, TemplateVersion.sample_fields)
        .join(
            TemplateVersion,
            (TemplateVersion.template_id == Template.id) & (TemplateVersion.number == Template.current_version),
        )
        .where(Template.service_id == service_id, Template.deleted_at.is_(None))
        .order_by(Template.id)
        .limit(_TEMPLATES)
    )
    for identifier, subject, sample in found:
        if isinstance(sample, list) == batch:
            one = sample[0] if isinstance(sample, list) and sample else sample
            return identifier, subject, one if isinstance(one, dict) else {}
    return None, None, {}


def _client(session: Session, service_id: int) -> str | None:
    own = (ApiClient.service_id == service_id, ApiClient.revoked_at.is_(None))
    return session.scalar(select(ApiClient.client_id).where(*own).order_by(ApiClient.id).limit(1))
