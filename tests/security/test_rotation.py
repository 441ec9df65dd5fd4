"""A change of the secret key: everything sealed is sealed anew, nothing that was given out ends, and none lies open."""

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner
from sqlalchemy import String, select, text, type_coerce, update
from sqlalchemy.orm import Session

from backend.accounts import (
    audit,
    clients,
    invitations,
    password_resets,
    reach,
    senders,
    service_tokens,
    services,
    sessions,
)
from backend.accounts.audit import Actor
from backend.accounts.oauth import access_tokens
from backend.accounts.oauth.signatures import InvalidJwt
from backend.accounts.senders import NewSender
from backend.callbacks import endpoints
from backend.cli import carillon
from backend.db.database import Database
from backend.db.models.accounts import ApiClient, ClientSecret, Guest, ServiceToken, User
from backend.db.models.callbacks import CallbackEndpoint
from backend.db.models.registry import Endpoint
from backend.lib import keyring, settings
from backend.lib.problems import Problem
from backend.receipts import secret as bounces
from tests.conftest import SECRET_KEY
from tests.factories import laboratory
from tests.portal.people_and_messages import user

NEW_KEY = "a-new-secret-key-for-tests-only-9876543210"
HOOK = "https://hooks.slack.com/services/T0000/B0000/planted"
CALLBACK = "https://lims.lab.example/hook/planted?token=planted"
APPRISE = "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"


@pytest.fixture
def change_key(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def change(present: str, *old: str) -> None:
        monkeypatch.setenv("CARILLON_SECRET_KEY", present)
        monkeypatch.setenv("CARILLON_OLD_SECRET_KEYS", ",".join(old))
        settings.current.cache_clear()

    return change


def everything(database: Database) -> str:
    """Return every text that the tables hold with secrets in them."""
    tables = ("endpoints", "deliveries", "outbox_messages", "callback_endpoints", "callback_secrets")
    tables += ("service_tokens", "audit_entries", "guests", "api_clients")
    with database.read() as session:
        return "\n".join(repr(session.execute(text(f"SELECT * FROM {table}")).all()) for table in tables)  # noqa: S608


def test_a_change_of_key_keeps_what_was_given_out_and_seals_all_anew(
    any_database: Database, change_key: Callable[..., None]
) -> None:
    lab = laboratory(any_database)
    lab.recipient("X_CHAT", ("SLACK", HOOK), ("APPRISE", APPRISE), ("EMAIL", "open@lab.example"))
    with any_database.transaction() as session:
        token = service_tokens.create(session, services.service_by_id(session, lab.service_id), "client").token
        actor = Actor("command", "tests")
        _, made = endpoints.register(session, lab.client.id, lab.service_id, CALLBACK, actor)
        reach.add_guest(session, lab.service_id, "SLACK", HOOK, "ada@lab.example")
        session.execute(update(ApiClient).values(redirect=HOOK))
    assert made is not None
    planted = ("planted", "JHMHI8qBe7bk2ZwO5U711o3dV", token, made.secret.removeprefix("whsec_"))
    assert [secret for secret in planted if secret in everything(any_database)] == []
    bounce_token, old_id = bounces.bounce_token(), keyring.present_id()

    change_key(NEW_KEY, SECRET_KEY)
    first, again = rotate(), rotate()
    sealed = {"endpoints": 2, "deliveries": 0, "outbox_messages": 0, "batches": 0, "callback_endpoints": 1}
    sealed |= {"guests": 1, "api_clients": 1}
    sealed |= {"callback_secrets": 1, "service_tokens": 1, "second_factors": 0}
    assert first == {"key": keyring.present_id(), "resealed": sealed, "waiting_client_secrets": 1}
    assert set(again["resealed"].values()) == {0}
    assert old_id not in everything(any_database)
    assert bounces.is_bounce_token(bounce_token)
    assert bounces.is_bounce_token(bounces.bounce_token())
    assert not bounces.is_bounce_token(bounce_token[:-1])
    with any_database.read() as session:
        client = clients.by_client_id(session, lab.client.client_id)
        right = clients.matching_secret(session, client, lab.client.client_secret)
        assert clients.matching_secret(session, client, "crs_wrong") is None
    assert right is not None
    clients.take_over(right, lab.client.client_secret)
    assert rotate()["waiting_client_secrets"] == 0

    change_key(NEW_KEY)  # the old key is no longer known to anybody
    with any_database.read() as session:
        addresses = set(session.scalars(select(Endpoint.address)))
        assert {HOOK, "open@lab.example"} < addresses
        assert session.scalars(select(Guest.address)).all() == [HOOK]
        assert session.scalars(select(ApiClient.redirect)).all() == [HOOK]
        assert any(address.startswith("discord://") for address in addresses)
        assert service_tokens.find(session, token) is not None
        assert service_tokens.reveal(session.scalars(select(ServiceToken)).one()) == token
        endpoint = session.scalars(select(CallbackEndpoint.id)).one()
        assert endpoints.signing_secrets(session, endpoint) == [made.secret]
        assert endpoints.read(session, lab.client.id).url == CALLBACK
        client = clients.by_client_id(session, lab.client.client_id)
        assert clients.matching_secret(session, client, lab.client.client_secret) is not None
        assert session.scalars(select(ClientSecret.key_id)).all() == [keyring.present_id()]
    assert not bounces.is_bounce_token(bounce_token)


def rotate() -> dict[str, object]:
    answer = CliRunner().invoke(carillon, ["secrets", "rotate"])
    assert answer.exit_code == 0, answer.output
    found: dict[str, object] = json.loads(answer.output)
    return found


def test_a_key_that_is_missing_is_named_and_nothing_is_changed(
    database: Database, change_key: Callable[..., None]
) -> None:
    laboratory(database).recipient("X_CHAT", ("SLACK", HOOK))
    before = everything(database)
    change_key(NEW_KEY)
    answer = CliRunner().invoke(carillon, ["secrets", "rotate"])
    assert answer.exit_code == 1
    assert "CARILLON_OLD_SECRET_KEYS" in answer.output
    assert everything(database) == before


def test_what_lay_open_is_sealed(database: Database) -> None:
    lab = laboratory(database)
    lab.recipient("X_CHAT", ("SLACK", HOOK))
    with database.transaction() as session:
        endpoints.register(session, lab.client.id, lab.service_id, CALLBACK, Actor("command", "tests"))
        session.execute(text("UPDATE endpoints SET address = :hook WHERE type = 'SLACK'"), {"hook": HOOK})
        session.execute(text("UPDATE callback_endpoints SET url = :url"), {"url": CALLBACK})
    assert HOOK in everything(database)
    assert CALLBACK in everything(database)
    resealed = rotate()["resealed"]
    assert (resealed["endpoints"], resealed["callback_endpoints"]) == (1, 1)  # type: ignore[index]
    assert HOOK not in everything(database)
    assert CALLBACK not in everything(database)
    with database.read() as session:
        stored = session.scalars(select(type_coerce(Endpoint.address, String)).where(Endpoint.type == "SLACK")).one()
        assert keyring.unseal_address(stored) == HOOK
        assert session.scalars(select(Endpoint.type).where(Endpoint.address == HOOK)).all() == ["SLACK"]
        assert endpoints.read(session, lab.client.id).url == CALLBACK


def test_sessions_links_and_tokens_go_on_while_the_old_key_is_named_and_end_when_it_is_not(
    database: Database, change_key: Callable[..., None]
) -> None:
    lab = laboratory(database)
    person = user(database)
    with database.transaction() as session:
        cookie = sessions.begin(session, person)
        service = services.service_by_id(session, lab.service_id)
        invitation = invitations.invite(session, service, "bob@lab.example", "viewer", "ada@lab.example").secret
        reset = password_resets.begin(session, session.get_one(User, person))
        link = senders.add(session, lab.service_id, NewSender("reply_to", "desk@lab.example"), "ada@lab.example").secret
    token = access_tokens.issue(lab.client.client_id, "notifications:send")

    def works() -> list[bool]:
        found = [sessions.resume(database, cookie) is not None]
        asked: tuple[Callable[[Session], object], ...] = (
            lambda reading: invitations.find(reading, invitation),
            lambda reading: password_resets.find(reading, reset),
            lambda reading: senders.find(reading, link),
            lambda _reading: access_tokens.read(token),
        )
        for ask in asked:
            with database.read() as reading:
                try:
                    found.append(ask(reading) is not None)
                except (Problem, InvalidJwt):
                    found.append(False)
        return found

    assert works() == [True] * 5
    change_key(NEW_KEY, SECRET_KEY)
    assert works() == [True] * 5
    rotate()
    assert works() == [True] * 5
    change_key(NEW_KEY)
    assert works() == [False] * 5
    change_key(NEW_KEY, SECRET_KEY)  # nothing of it was destroyed
    assert works() == [True] * 5


def test_keys_are_told_by_no_repr(configure: Callable[..., settings.Settings]) -> None:
    configuration = configure(OLD_SECRET_KEYS=f"{NEW_KEY},another-old-key-of-length")
    assert configuration.old_secret_keys == (NEW_KEY, "another-old-key-of-length")
    assert NEW_KEY not in repr(configuration)
    assert NEW_KEY not in repr(keyring.in_use())
    with pytest.raises(settings.SettingError, match="CARILLON_OLD_SECRET_KEYS"):
        configure(OLD_SECRET_KEYS="short")


@pytest.mark.parametrize("what", ["UPDATE audit_entries SET actor = 'nobody'", "DELETE FROM audit_entries"])
def test_the_database_itself_keeps_audit_entries_as_they_are(any_database: Database, what: str) -> None:
    with any_database.transaction() as session:
        service = services.create_service(session, "Laboratory")
        from_here = Actor("command", "tests")
        audit.record(session, from_here, "service.made", "Laboratory", service_id=service.id)
    with pytest.raises(Exception, match="audit entries are never changed"), any_database.transaction() as session:
        session.execute(text(what))
    with any_database.read() as session:
        assert session.execute(text("SELECT actor FROM audit_entries")).scalars().all() == ["tests"]
