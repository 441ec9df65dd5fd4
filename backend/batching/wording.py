"""Which variant of its template a batch goes in."""

from typing import Protocol

from sqlalchemy.orm import Session

from backend.publishing import sources
from backend.registry import lookup
from backend.registry.languages import Choice, choose


class Addressed(Protocol):
    """What of a batch says it: ``language`` is what the notification asked for that opened it."""

    @property
    def service_id(self) -> int: ...
    @property
    def recipient(self) -> str: ...
    @property
    def template(self) -> str: ...
    @property
    def language(self) -> str | None: ...


def of_batch(session: Session, batch: Addressed) -> Choice | None:
    """Choose by the recipient's language at this moment, else the batch's, else the service's.

    A batch has one recipient, so it is one message in one language. None where the template is no longer registered.
    """
    template = lookup.templates(session, batch.service_id, [batch.template]).get(batch.template)
    if template is None:
        return None
    reader = lookup.readers(session, batch.service_id, [batch.recipient]).languages.get(batch.recipient)
    default = sources.mail_settings(session, batch.service_id).language if template.variants else template.language
    return choose(template, (reader, batch.language), default)
