"""A template begun as the copy of another: its text of this moment, and its samples."""

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.registry import Template
from backend.registry import drafts, samples
from backend.registry.drafts import Key, Working

_LONGEST = 64
_MOST = 100


def suggested(session: Session, identifier: str) -> str:
    """Return an identifier for a copy that nobody has: ``X_COPY``, else ``X_COPY_2`` and so on."""
    found = (_named(identifier, number) for number in range(1, _MOST))
    candidates = list(dict.fromkeys(found))
    taken = set(session.scalars(select(Template.identifier).where(Template.identifier.in_(candidates))))
    return next((one for one in candidates if one not in taken), "")


def duplicate(session: Session, key: Key, identifier: str, name: str, author: str) -> Working:
    """Begin a template of the same service with the text that editors of ``key`` work on, and with its samples.

    Raises:
        Problem: ``not_found`` for the original, ``invalid_identifier`` or ``identifier_taken`` for the copy.
    """
    original = drafts.working(session, key)
    content = msgspec.structs.replace(original.content, name=name)
    made = drafts.create(session, Key(key.service_id, identifier), content, author)
    for sample in samples.of_all(session, original.template_id):
        samples.put(session, made.template_id, sample.name, sample.text, sample.language)
    return made


def _named(identifier: str, number: int) -> str:
    end = "_COPY" if number == 1 else f"_COPY_{number}"
    return identifier.removesuffix("_COPY")[: _LONGEST - len(end)] + end
