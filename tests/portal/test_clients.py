"""The pages of API clients: made, rotated and revoked, with their secrets shown once."""

import json
import re
from collections.abc import Callable

import pytest
from joserfc.jwk import ECKey
from sqlalchemy import select

from backend.accounts import clients
from backend.db.database import Database
from backend.db.models.accounts import ApiClient
from backend.db.models.audit import AuditEntry
from backend.lib import settings
from tests.conftest import MovableClock
from tests.factories import Laboratory, laboratory
from tests.portal.conftest import Browser, served
from tests.portal.people_and_messages import user

_SECRET = re.compile(r"crs_[\w-]{20,}")


@pytest.fixture
def lab(database: Database, browser: Browser) -> Laboratory:
    """Give a service with one client, looked at by its administrator."""
    return served(database, browser, "admin")


def own(lab: Laboratory, rest: str = "") -> str:
    return f"/portal/services/{lab.service_id}/clients{rest}"


def one(lab: Laboratory, rest: str = "") -> str:
    return own(lab, f"/{lab.client.client_id}{rest}")


def signs_in(browser: Browser, client_id: str, secret: str) -> bool:
    form = {"grant_type": "client_credentials"}
    return browser.client.post("/oauth/token", auth=(client_id, secret), data=form).status_code == 200


def audited(database: Database) -> list[str]:
    with database.read() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        assert not any(_SECRET.search(json.dumps(row.detail)) for row in rows)
        return [row.action for row in rows]


def test_one_is_made_and_its_secret_is_shown_once(browser: Browser, lab: Laboratory) -> None:
    page = browser.led(browser.send(own(lab, "/new"), name=" lims ", send="true", registry_read="true"))
    (secret,) = set(_SECRET.findall(page))
    with lab.database.read() as session:
        made = clients.of_service(session, lab.service_id)[-1]
    assert (made.name, made.scopes) == ("lims", "notifications:send registry:read")
    assert page.count(made.client_id) > 2
    assert '"X_LAB"' in page.replace("&#34;", '"')
    assert not _SECRET.search(browser.get(own(lab, f"/{made.client_id}")).text)
    assert signs_in(browser, made.client_id, secret)
    assert audited(lab.database) == ["api_client.made"]


@pytest.mark.parametrize("form", [{"name": "", "send": "true"}, {"name": "lims"}, {"name": "x" * 161, "read": "on"}])
def test_what_cannot_be_made_is_said_beside_its_field(browser: Browser, lab: Laboratory, form: dict[str, str]) -> None:
    answer = browser.send(own(lab, "/new"), **form)
    assert answer.status_code == 422
    assert "Error: " in answer.text
    assert f'value="{form["name"]}"' in answer.text
    with lab.database.read() as session:
        assert len(clients.of_service(session, lab.service_id)) == 1


def test_two_secrets_live_while_they_are_changed_over(
    browser: Browser, lab: Laboratory, moving_clock: MovableClock
) -> None:
    (new,) = set(_SECRET.findall(browser.led(browser.send(one(lab, "/secrets")))))
    old = lab.client.client_secret
    assert signs_in(browser, lab.client.client_id, old)
    assert signs_in(browser, lab.client.client_id, new)
    refused = browser.send(one(lab, "/secrets"))
    assert refused.status_code == 422
    assert "Two secrets live already" in refused.text
    with lab.database.read() as session:
        first, _ = clients.live_secrets(session, session.get_one(ApiClient, lab.client.id))
    answer = browser.send(one(lab, f"/secrets/{first.id}/revoke"))
    assert answer.status_code == 303
    assert not signs_in(browser, lab.client.client_id, old)
    assert signs_in(browser, lab.client.client_id, new)
    assert browser.send(one(lab, "/secrets/999/revoke")).status_code == 404
    assert audited(lab.database) == ["api_client.secret_added", "api_client.secret_revoked"]


def test_when_it_last_got_a_token_is_noted_once_a_minute(
    browser: Browser, lab: Laboratory, moving_clock: MovableClock
) -> None:
    def noted() -> list[object]:
        with lab.database.read() as session:
            client = session.get_one(ApiClient, lab.client.id)
            return [client.last_used_at, *(one.last_used_at for one in clients.live_secrets(session, client))]

    assert noted() == [None, None]
    assert not signs_in(browser, lab.client.client_id, "crs_wrong")
    assert noted() == [None, None]
    seen = []
    for _ in range(3):
        assert signs_in(browser, lab.client.client_id, lab.client.client_secret)
        seen.append(noted()[0])
        assert noted() == [seen[-1]] * 2
        moving_clock.forward(seconds=31)
    assert seen[0] == seen[1] != seen[2]


def test_a_client_is_changed_and_ended(browser: Browser, lab: Laboratory) -> None:
    browser.send(one(lab, "/scopes"), name="renamed", read="true")
    browser.send(one(lab, "/scopes"), name="renamed", read="true")
    assert browser.send(one(lab, "/scopes"), name="renamed").status_code == 422
    key = ECKey.generate_key("P-256")
    private = json.dumps({"keys": [key.as_dict(private=True)]})
    for text in ("no json", "[]", private):
        refused = browser.send(one(lab, "/keys"), jwks=text)
        assert refused.status_code == 422
        assert 'id="jwks-fault"' in refused.text
    assert browser.send(one(lab, "/keys"), jwks=json.dumps({"keys": [key.as_dict(private=False)]})).status_code == 303
    with lab.database.read() as session:
        changed = session.get_one(ApiClient, lab.client.id)
        assert (changed.name, changed.scopes) == ("renamed", "notifications:read")
        assert changed.jwks is not None
        assert "d" not in changed.jwks["keys"][0]
    browser.send(one(lab, "/keys"), jwks=" ")
    browser.send(one(lab, "/revoke"))
    browser.send(one(lab, "/revoke"))
    assert not signs_in(browser, lab.client.client_id, lab.client.client_secret)
    shown = browser.get(one(lab)).text
    assert "This client was revoked" in shown
    assert browser.send(one(lab, "/secrets")).status_code in {404, 422}
    keys = ["api_client.keys_changed"] * 2
    assert audited(lab.database) == ["api_client.changed", *keys, "api_client.revoked"]


def test_only_administrators_change_clients_and_others_see_none(browser: Browser, database: Database) -> None:
    made, other = laboratory(database), laboratory(database, "Proteomics")
    user(database, member_of=made.service_id, role="editor")
    browser.sign_in()
    page = browser.get(one(made)).text.partition("<main")[2].partition("</main>")[0]
    assert 'method="post"' not in page
    assert browser.get(own(made)).status_code == 200
    assert browser.get(own(made, "/new")).status_code == 403
    for rest in ("/secrets", "/secrets/1/revoke", "/scopes", "/keys", "/revoke"):
        assert browser.send(one(made, rest), name="x", read="true").status_code == 403
    assert browser.get(own(made, f"/{other.client.client_id}")).status_code == 404
    assert browser.get(own(other)).status_code == 404
    assert audited(database) == []


ISSUER = "https://id.lab.example"


@pytest.fixture
def trusting(configure: Callable[..., settings.Settings]) -> None:
    configure(TRUSTED_ISSUERS=ISSUER)


@pytest.mark.usefixtures("trusting")
def test_a_client_of_another_issuer_is_bound_to_the_service(browser: Browser, lab: Laboratory) -> None:
    assert ISSUER in browser.get(own(lab, "/new")).text
    form = {"name": "lims", "send": "true", "issuer": ISSUER, "issuer_client_id": " 4f2 "}
    answer = browser.send(own(lab, "/new"), **form)
    assert answer.status_code == 303
    page = browser.get(answer.headers["location"]).text
    assert ISSUER in page
    assert "4f2" in page
    assert "Make a new secret" not in page
    again = browser.send(own(lab, "/new"), **form)
    assert again.status_code == 422
    assert "There is an API client with this id at this issuer already." in again.text
    empty = browser.send(own(lab, "/new"), **(form | {"issuer_client_id": ""}))
    assert "id at its issuer has 1 to 255 printable characters" in empty.text


def test_without_another_issuer_none_is_offered(browser: Browser, lab: Laboratory) -> None:
    assert "Where it gets its tokens" not in browser.get(own(lab, "/new")).text
    answer = browser.send(own(lab, "/new"), name="lims", send="true", issuer=ISSUER, issuer_client_id="4f2")
    assert answer.status_code == 422


@pytest.mark.usefixtures("trusting")
def test_an_issuer_that_is_trusted_no_more_is_told(
    browser: Browser, lab: Laboratory, configure: Callable[..., settings.Settings]
) -> None:
    form = {"name": "lims", "send": "true", "issuer": ISSUER, "issuer_client_id": "4f2"}
    location = browser.send(own(lab, "/new"), **form).headers["location"]
    configure(TRUSTED_ISSUERS="https://other.example")
    assert "does not trust the issuer any more" in browser.get(location).text


def test_platform_administrators_alone_give_the_scope_of_a_gateway(browser: Browser, lab: Laboratory) -> None:
    client = f"/{lab.client.client_id}"
    assert "tokens:introspect" not in browser.get(own(lab, client)).text
    browser.send(own(lab, client + "/scopes"), name="lims", send="true", introspect="true")
    assert scopes_of(lab) == "notifications:send"
    with lab.database.transaction() as session:
        clients.one_of_service(session, lab.service_id, lab.client.client_id).scopes = clients.INTROSPECT
    browser.send(own(lab, client + "/scopes"), name="lims", read="true")
    assert scopes_of(lab) == "notifications:read tokens:introspect"
    user(lab.database, "root@lab.example", platform_admin=True)
    browser.sign_in("root@lab.example")
    browser.send(own(lab, client + "/scopes"), name="lims", read="true")
    assert scopes_of(lab) == "notifications:read"


def scopes_of(lab: Laboratory) -> str:
    with lab.database.read() as session:
        return clients.one_of_service(session, lab.service_id, lab.client.client_id).scopes
