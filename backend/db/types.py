"""Column types that both databases share."""

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from backend.lib import keyring

# Advanced Alchemy's JsonB also prepares for Oracle through a function that SQLAlchemy 2.1 no longer has.
JsonB = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


# SQLite holds to no length, and a longer word in its declaration would mean to copy the table.
AGGREGATOR_ID = String(1024).with_variant(String(128), "sqlite")


def in_utc(value: datetime) -> datetime:
    """Return a moment of the database in UTC; where it keeps text, that says no offset."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Moment(TypeDecorator[datetime]):
    """A moment in time: aware, kept in UTC with microseconds, and ordered as text where it is text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Bring a value to UTC.

        Raises:
            ValueError: for a moment that does not say its offset.
        """
        if value is None or value.tzinfo is UTC:
            return value
        if value.tzinfo is None:
            raise ValueError("A moment must be aware of its offset from UTC.")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return a value in UTC, whatever zone the database tells it in."""
        return value if value is None or value.tzinfo is UTC else in_utc(value)


class Address(TypeDecorator[str]):
    """An endpoint's address; one that is itself a secret, a URL, is sealed in the database and open in the program.

    The same address is sealed alike, so that addresses can be compared and kept unique.
    """

    impl = String(2048)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Seal what is a URL."""
        return value if value is None else sealed(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Open what is sealed."""
        return value if value is None else opened(value)


def sealed(address: str) -> str:
    """Seal an address as the database has it, if it is a secret."""
    return keyring.seal_address(address) if "://" in address else address


def opened(address: str) -> str:
    """Open an address as the database has it, if it is sealed."""
    return keyring.unseal_address(address) if address.startswith(keyring.MARK) else address


class Url(Address):
    """A URL that is itself a secret, sealed as an address is; one of 2,048 characters has 2,768 when it is sealed."""

    impl = String(3072)
    cache_ok = True


class Numbers(TypeDecorator[list[int]]):
    """A list of whole numbers as one parameter of a statement: an array, or JSON where there are none."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose what the database has."""
        return Text() if dialect.name == "sqlite" else ARRAY(BigInteger())

    def process_bind_param(self, value: Collection[int] | None, dialect: Dialect) -> Any:
        """Write the list as the database takes it."""
        numbers = list(value or ())
        return json.dumps(numbers) if dialect.name == "sqlite" else numbers
