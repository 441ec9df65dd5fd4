"""Access tokens in the shapes that real issuers give them, each read as a table of the issuers' file says."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient

from backend.accounts import access, clients, services
from backend.accounts.access import Assertion, Principal
from backend.api import middleware
from backend.db.database import Database
from backend.db.models.accounts import ApiClient
from backend.lib import clock, settings
from backend.lib.problems import Problem
from tests.accounts.http_client import BASE_URL, application, new_client
from tests.accounts.issuer_server import OPENID, IssuerServer
from tests.conftest import MovableClock

READ, SEND = "notifications:read", "notifications:send"
COGNITO = """
audience = "none"
token_type = "JWT"
require = { token_use = "access" }
scope_prefix = "carillon/"
scopes = { "carillon/send" = "notifications:send" }
"""
KEYCLOAK = """
audience = "carillon"
token_type = "JWT"
client_claim = "azp"
require = { typ = "Bearer" }
scope_claim = "resource_access.carillon.roles"
"""
ENTRA = """
audience = ["api://carillon", "6f1c7a1e-0000-4000-8000-000000000000"]
token_type = "JWT"
client_claim = ["azp", "appid"]
scope_claim = "roles"
scopes = { "Notifications.Send" = "notifications:send", "Notifications.Read" = "notifications:read" }
"""
AUTH0 = """
audience = "https://carillon.lab.example/"
token_type = "JWT"
client_claim = "azp"
algorithms = ["RS256"]
"""
GATEWAY = """
audience = "none"
token_type = "JWT"
header = "X-JWT-Assertion"
header_from = ["10.0.0.7", "192.0.2.0/24"]
client_claim = "http://wso2.org/claims/applicationname"
default_scopes = ["notifications:send"]
"""
SHAPES: dict[str, tuple[str, dict[str, Any], dict[str, Any], set[str]]] = {
    # Amazon Cognito: no aud and no typ, the scope with the resource server before it.
    "cognito": (
        COGNITO,
        {
            "token_use": "access",
            "client_id": "4f2example",
            "scope": "carillon/send carillon/notifications:read other/all",
            "version": 2,
            "jti": "c-1",
        },
        {},
        {READ, SEND},
    ),
    # Keycloak: typ in the payload, azp, roles of the client that stands for the resource.
    "keycloak": (
        KEYCLOAK,
        {
            "typ": "Bearer",
            "aud": ["carillon", "account"],
            "azp": "4f2example",
            "resource_access": {"carillon": {"roles": [READ, "uma_protection"]}},
            "jti": "k-1",
        },
        {"typ": "JWT"},
        {READ},
    ),
    # Microsoft Entra ID, version 2 and version 1 of its tokens: app roles, no jti.
    "entra 2": (
        ENTRA,
        {
            "aud": "6f1c7a1e-0000-4000-8000-000000000000",
            "azp": "4f2example",
            "roles": ["Notifications.Send"],
            "uti": "u",
        },
        {"typ": "JWT"},
        {SEND},
    ),
    "entra 1": (
        ENTRA,
        {"aud": "api://carillon", "appid": "4f2example", "roles": ["Notifications.Read", "Other"], "uti": "v"},
        {"typ": "JWT"},
        {READ},
    ),
    # Auth0: a grant of client credentials, no jti in its own profile.
    "auth0": (
        AUTH0,
        {
            "aud": "https://carillon.lab.example/",
            "azp": "4f2example",
            "gty": "client-credentials",
            "scope": f"{READ} x",
        },
        {"typ": "JWT"},
        {READ},
    ),
}


@pytest.fixture
def issuer() -> Iterator[IssuerServer]:
    server = IssuerServer()
    server.publish(OPENID)
    yield server
    server.close()


@pytest.fixture
def trust(
    configure: Callable[..., settings.Settings],
    database: Database,
    issuer: IssuerServer,
    tmp_path: Path,
    moving_clock: MovableClock,
) -> Callable[[str], ApiClient]:
    """Give what trusts the issuer as a table says, and binds its client ``4f2example`` to a service."""

    def trusted(table: str) -> ApiClient:
        file = tmp_path / "issuers.toml"
        file.write_text(f'[example]\nissuer = "{issuer.address}"\n{table}')
        configure(TRUSTED_ISSUERS=str(file))
        with database.transaction() as session:
            service = services.create_service(session, "Laboratory")
            return clients.create_foreign(
                session, service, "lims", [SEND, READ], issuer=issuer.address, issuer_client_id="4f2example"
            )

    return trusted


def times() -> dict[str, int]:
    now = int(clock.timestamp())
    return {"iat": now, "exp": now + 3600}


def ask(token: str, scope: str = READ, assertion: Assertion | None = None) -> Principal:
    return access.authenticate(None if assertion else f"Bearer {token}", scope, assertion)


def refusal(token: str, scope: str = READ) -> str:
    with pytest.raises(Problem) as refused:
        ask(token, scope)
    return refused.value.detail


@pytest.mark.parametrize("name", SHAPES)
def test_tokens_are_taken_as_each_issuer_writes_them(
    name: str, issuer: IssuerServer, trust: Callable[[str], ApiClient], database: Database
) -> None:
    table, claims, header, scopes = SHAPES[name]
    client = trust(table)
    token = issuer.signed({"iss": issuer.address, **times(), **claims}, **header)
    found = ask(token, min(scopes))
    assert (found.client_id, found.service_id, found.scopes) == (client.client_id, client.service_id, scopes)
    with database.read() as session:
        assert session.get_one(ApiClient, client.id).last_used_at == clock.now()


@pytest.mark.parametrize("name", ["keycloak", "entra 2", "auth0"])
@pytest.mark.parametrize("audience", [None, "https://another.example", ["account"]])
def test_a_token_for_another_audience_is_refused_wherever_there_is_one(
    name: str, audience: object, issuer: IssuerServer, trust: Callable[[str], ApiClient]
) -> None:
    table, claims, header, _ = SHAPES[name]
    trust(table)
    changed = {"iss": issuer.address, **times(), **claims, "aud": audience}
    assert "for someone else" in refusal(issuer.signed({k: v for k, v in changed.items() if v is not None}, **header))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"aud": "4f2example", "token_use": "access"}, "for someone else"),
        ({"token_use": "id"}, "lacks a claim that its issuer must have set"),
        ({"token_use": "access", "nonce": "n"}, "not an access token"),
        ({"token_use": "access", "client_id": ""}, "does not name its client"),
        ({"token_use": "access", "client_id": "somebody"}, "belongs to no API client"),
        ({"token_use": "access", "exp": 1}, "expired"),
        ({"token_use": "access", "exp": "never"}, "expired"),
        ({"token_use": "access", "iss": "https://stranger.example"}, "No key of the signer"),
    ],
)
def test_what_is_no_access_token_of_ours_is_refused(
    changes: dict[str, Any], said: str, issuer: IssuerServer, trust: Callable[[str], ApiClient]
) -> None:
    table, claims, header, _ = SHAPES["cognito"]
    trust(table)
    assert said in refusal(issuer.signed({"iss": issuer.address, **times(), **claims, **changes}, **header))


def test_only_the_algorithms_that_are_named_are_taken(issuer: IssuerServer, trust: Callable[[str], ApiClient]) -> None:
    _, claims, header, _ = SHAPES["auth0"]
    trust(AUTH0.replace("RS256", "ES256"))
    assert "algorithm" in refusal(issuer.signed({"iss": issuer.address, **times(), **claims}, **header))


def test_a_bound_client_is_one_services_alone_and_has_no_way_in_here(
    issuer: IssuerServer, trust: Callable[[str], ApiClient], database: Database
) -> None:
    client = trust(COGNITO)
    with database.transaction() as session:
        other = services.create_service(session, "Another")
        bind = {"issuer": issuer.address, "issuer_client_id": "4f2example"}
        with pytest.raises(Problem, match="already"):
            clients.create_foreign(session, other, "lims", [SEND], **bind)
        with pytest.raises(Problem, match="CARILLON_TRUSTED_ISSUERS"):
            clients.create_foreign(session, other, "lims", [SEND], issuer="https://x.example", issuer_client_id="a")
        with pytest.raises(Problem, match="no secret here"):
            clients.rotate(session, session.get_one(ApiClient, client.id))
    _, claims, header, _ = SHAPES["cognito"]
    by_our_name = issuer.signed({"iss": issuer.address, **times(), **claims, "client_id": client.client_id}, **header)
    assert "belongs to no API client" in refusal(by_our_name)


def test_a_client_that_ended_is_refused(
    issuer: IssuerServer, trust: Callable[[str], ApiClient], database: Database
) -> None:
    client = trust(COGNITO)
    _, claims, header, _ = SHAPES["cognito"]
    token = issuer.signed({"iss": issuer.address, **times(), **claims}, **header)
    ask(token)
    with database.transaction() as session:
        clients.revoke_client(session, session.get_one(ApiClient, client.id))
    assert "revoked" in refusal(token)


def assertion_of(issuer: IssuerServer) -> str:
    claims = {"iss": issuer.address, "exp": times()["exp"], "http://wso2.org/claims/applicationname": "4f2example"}
    return issuer.signed(claims, typ="JWT")


async def sent(address: str, **headers: str) -> int:
    """Ask the guarded address from a network address, through what the server runs."""
    transport = ASGITransport(middleware.SeenThroughProxies(application()), client=(address, 50_000))
    async with AsyncClient(transport=transport, base_url=BASE_URL) as http:
        return (await http.get("/guarded", headers=headers)).status_code


@pytest.fixture
def gateway(issuer: IssuerServer, trust: Callable[[str], ApiClient]) -> str:
    trust(GATEWAY.replace("notifications:send", READ))
    return assertion_of(issuer)


@pytest.mark.anyio
@pytest.mark.parametrize("address", ["10.0.0.7", "192.0.2.200", "::ffff:10.0.0.7"])
async def test_a_gateways_assertion_is_believed_from_its_addresses(address: str, gateway: str) -> None:
    assert await sent(address, **{"X-JWT-Assertion": gateway}) == 200
    assert await sent(address, **{"X-JWT-Assertion": gateway, "Authorization": "Basic eDp5"}) == 200


@pytest.mark.anyio
@pytest.mark.parametrize("address", ["10.0.0.8", "203.0.113.9", "2001:db8::1", "unknown"])
async def test_a_gateways_assertion_is_believed_from_nowhere_else(address: str, gateway: str) -> None:
    assert await sent(address, **{"X-JWT-Assertion": gateway}) == 401


@pytest.mark.anyio
async def test_nobody_takes_the_gateways_address_by_a_header(gateway: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1")
    headers = {"X-JWT-Assertion": gateway, "X-Forwarded-For": "10.0.0.7"}
    assert await sent("127.0.0.1", **headers) == 401
    # Behind a proxy of its own the gateway is still the machine at the other end of the connection.
    assert await sent("10.0.0.7", **{"X-JWT-Assertion": gateway, "X-Forwarded-For": "203.0.113.9"}) == 200


@pytest.mark.anyio
async def test_a_gateways_token_is_taken_from_its_header_alone(gateway: str, database: Database) -> None:
    assert await sent("10.0.0.7", Authorization=f"Bearer {gateway}") == 401
    own = new_client(database, "Other")
    assert await sent("10.0.0.7", **{"X-JWT-Assertion": own.client_secret}) == 401


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a]\n", "lacks its issuer"),
        ("[a]\nissuer = 'https://a.example'\naudiense = 'x'", "'audiense' is no member of it"),
        ("[a]\nissuer = 'https://a.example'\naudience = 'none'", "require must name a claim"),
        ("[a]\nissuer = 'https://a.example'\nalgorithms = ['HS256']", "its algorithms has a value"),
        ("[a]\nissuer = 'https://a.example'\nheader = 'X-Token'", "header and header_from together"),
        ("[a]\nissuer = 'https://a.example'\nheader = 'Cookie'\nheader_from = '10.0.0.1'", "cannot carry a token"),
        ("[a]\nissuer = 'https://a.example'\nheader = 'X-T'\nheader_from = 'gateway'", "addresses or networks"),
        ("[a]\nissuer = 'wso2.org/products/am'", "needs jwks_uri"),
        ("[a]\nissuer = 'https://a.example'\n[b]\nissuer = 'https://a.example'", "has two tables"),
        ("a = 1", "it is no table"),
        ("[a\n", "not TOML"),
    ],
)
def test_a_file_that_cannot_be_used_stops_the_start_with_a_sentence(
    text: str, said: str, tmp_path: Path, configure: Callable[..., settings.Settings]
) -> None:
    file = tmp_path / "issuers.toml"
    file.write_text(text)
    with pytest.raises(settings.SettingError, match=r"^CARILLON_TRUSTED_ISSUERS names the file") as fault:
        configure(TRUSTED_ISSUERS=str(file))
    assert said in str(fault.value)
    assert "$" not in str(fault.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, configure: Callable[..., settings.Settings]) -> None:
    with pytest.raises(settings.SettingError, match="cannot be read: No such file"):
        configure(TRUSTED_ISSUERS=str(tmp_path / "missing.toml"))
