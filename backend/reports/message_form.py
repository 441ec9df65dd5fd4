"""What a person has to fill in for one message that is made from a template."""

from functools import lru_cache

import msgspec
from sqlalchemy.orm import Session

from backend.publishing.sources import source_of_version
from backend.registry import drafts, lookup, samples
from backend.registry.drafts import Key
from backend.registry.lookup import FoundTemplate
from backend.rendering import variables
from backend.rendering.fields_read import FieldsRead, fields_read
from backend.rendering.variables import Variable


class MessageForm(msgspec.Struct, frozen=True, kw_only=True):
    """A published template with its variables; ``for_batches`` tells that its samples are lists, so one makes nothing.

    ``template_id`` is its row, by which previews are kept; ``subject`` is its own.
    """

    identifier: str
    template_id: int
    variables: list[Variable]
    subject: str | None
    for_batches: bool


def of(session: Session, service_id: int, identifier: str) -> MessageForm | None:
    """Describe the form of a service's published template; None if it has none of this name to send with."""
    template = lookup.templates(session, service_id, {identifier}).get(identifier)
    if template is None:
        return None
    working = drafts.working(session, Key(service_id, identifier))
    known = samples.all_fields(session, working.template_id)
    return MessageForm(
        identifier=identifier,
        template_id=working.template_id,
        variables=variables.variables(_read(template), known),
        subject=template.subject,
        for_batches=bool(known) and all(isinstance(one, list) for one in known),
    )


def _read(template: FoundTemplate) -> FieldsRead:
    return _fields_of(source_of_version(template))


_fields_of = lru_cache(maxsize=64)(fields_read)
