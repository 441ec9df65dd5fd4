"""Static tokens of the alpha API."""

from uuid import UUID

import pytest

from backend.accounts import service_tokens, services
from backend.db.database import Database
from backend.db.models.accounts import ServiceToken


def test_a_token_is_a_uuid_found_by_its_text_and_kept_unreadable(any_database: Database) -> None:
    with any_database.transaction() as session:
        service = services.create_service(session, "Laboratory")
        made = service_tokens.create(session, service, "client")
    assert UUID(made.token).version == 4
    assert made.token not in repr(made)
    with any_database.read() as session:
        found = service_tokens.find(session, made.token)
        assert found is not None
        assert (found.service_id, found.type) == (service.id, "client")
        assert service_tokens.reveal(found) == made.token
        assert made.token not in found.sealed + found.digest
        assert service_tokens.find(session, made.token.upper()) is None
        assert service_tokens.find(session, "nonsense\x00é") is None


def test_the_newest_token_of_a_service_is_shown(any_database: Database) -> None:
    with any_database.transaction() as session:
        service = services.create_service(session, "Laboratory")
        assert service_tokens.of_service(session, service.id) is None
        service_tokens.create(session, service, "client")
        newest = service_tokens.create(session, service, "admin")
        shown = service_tokens.of_service(session, service.id)
        assert shown is not None
        assert service_tokens.reveal(shown) == newest.token


def test_a_sealed_token_cannot_be_moved_to_another_row(database: Database) -> None:
    with database.transaction() as session:
        service = services.create_service(session, "Laboratory")
        service_tokens.create(session, service, "client")
        service_tokens.create(session, service, "client")
        first, second = session.query(ServiceToken).all()
        first.sealed = second.sealed
        with pytest.raises(ValueError, match="sealed"):
            service_tokens.reveal(first)
