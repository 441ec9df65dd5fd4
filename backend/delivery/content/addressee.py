"""Whom a batch goes to: its recipient, whose addresses are found when it leaves, or an address itself."""

from typing import Protocol

from sqlalchemy.orm import Session

from backend.channels.addresses import masked
from backend.db.types import sealed
from backend.delivery.content import memories
from backend.lib import keyring
from backend.registry import lookup

_PURPOSE = "address in a memory"


class Addressed(Protocol):
    """What of a batch says it; ``recipient`` is empty where there is an ``address``."""

    @property
    def service_id(self) -> int: ...
    @property
    def type(self) -> str: ...
    @property
    def recipient(self) -> str: ...
    @property
    def address(self) -> str | None: ...


class Gathered(Addressed, Protocol):
    """What of a batch says which memory is its own."""

    @property
    def mode(self) -> str: ...
    @property
    def matter(self) -> str | None: ...
    @property
    def aggregator_id(self) -> str: ...
    @property
    def template(self) -> str: ...


def addresses(session: Session, batch: Addressed) -> list[str] | None:
    """Return the addresses that a batch goes to at this moment, as the database has them.

    None where its recipient is no longer registered.
    """
    if batch.address is not None:
        return [sealed(batch.address)]
    endpoints = lookup.recipients(session, batch.service_id, [batch.recipient]).get(batch.recipient)
    return None if endpoints is None else [one.address for one in endpoints if one.type == batch.type]


def counted_as(batch: Addressed) -> str:
    """Return the name by which throttles know whom a batch goes to."""
    return batch.address or batch.recipient


def memory(batch: Gathered) -> str:
    """Return the key of what is remembered of whom a batch goes to; nobody reads an address from it.

    When the installation's key is changed, what was told to an address counts as new once more.
    """
    name = batch.recipient if batch.address is None else keyring.digest(_PURPOSE, batch.address)
    about = batch.matter or batch.aggregator_id
    return memories.key(batch.service_id, batch.mode, about, batch.type, name, batch.template)


def shown(channel: str, recipient: str, address: str | None) -> str:
    """Name it as an answer or a page may: a secret address by its ends alone."""
    return recipient if address is None else masked(channel, address)
