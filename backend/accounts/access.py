"""Who is asking: access tokens checked once, remembered until their end, refused as soon as they are revoked."""

import hashlib
import re
import threading
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

import msgspec
from sqlalchemy.orm import Session

from backend.accounts import clients, reach, revocations
from backend.accounts.faults import unavailable_without_database
from backend.accounts.oauth import access_tokens, signatures, trusted_issuers
from backend.accounts.oauth.access_tokens import Claims
from backend.accounts.oauth.signatures import InvalidJwt
from backend.accounts.reach import Manner
from backend.db import database as db
from backend.db.database import Database
from backend.db.models.accounts import ApiClient
from backend.lib import clock, settings
from backend.lib.issuer_settings import TrustedIssuer
from backend.lib.problems import Problem

REALM = "Carillon"
MAX_CACHED = 10_000
# RFC 6750 §2.1, b64token; a JWT is one.
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")


# Tokens that gateways put into a header of their own, `X-JWT-Assertion` say: believed from named addresses alone.
#
# Whoever else sends such a header is treated as if it were not there, and a token of such an issuer is taken from no
# other header, since clients behind the gateway may have seen it.


class Assertion(msgspec.Struct, frozen=True):
    """A token with the header (in lower case) that it came in; the representation leaves the token out."""

    header: str
    token: str

    def __repr__(self) -> str:
        return f"Assertion({self.header})"


def headers() -> frozenset[bytes]:
    """Return the names of the headers in which gateways send tokens, as ASGI writes them."""
    return _headers(settings.current())


@lru_cache(maxsize=1)
def _headers(configuration: settings.Settings) -> frozenset[bytes]:
    return frozenset(one.header.encode() for one in configuration.trusted_issuers if one.header)


def assertion(fields: Iterable[tuple[bytes, bytes]], peer: str | None) -> Assertion | None:
    """Return what a gateway says of a request that came from the network address ``peer``."""
    wanted = headers()
    given = [(name, value) for name, value in fields if name in wanted] if wanted else []
    if len(given) != 1:
        return None  # several would let somebody add one to the gateway's
    name = given[0][0].decode("latin-1")
    if not any(one.header == name and _is_of(peer, one) for one in settings.current().trusted_issuers):
        return None
    return Assertion(name, given[0][1].decode("latin-1").strip())


def _is_of(peer: str | None, issuer: TrustedIssuer) -> bool:
    try:
        address = ip_address(peer or "")
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in issuer.gateways)


class Principal(msgspec.Struct, frozen=True):
    """An API client as its access token presents it; ``expires_at`` is in seconds since the epoch.

    ``manner`` is how its messages are sent.
    """

    api_client_id: int
    client_id: str
    service_id: int
    scopes: frozenset[str]
    token_id: str
    expires_at: float
    manner: Manner = Manner()


def authenticate(authorization_header: str | None, scope: str, assertion: Assertion | None = None) -> Principal:
    """Return who the access token of a request speaks for (RFC 6750, RFC 9068); may read the database.

    The token is that of a gateway's ``assertion``, if there is one, else that of the Authorization header.

    Raises:
        Problem: ``unauthenticated`` or ``invalid_token`` (401) and ``insufficient_scope`` (403), each with its
            ``WWW-Authenticate`` header, or ``unavailable`` (503) if what the check needs cannot be had.
    """
    token = bearer_token(authorization_header) if assertion is None else _well_formed(assertion.token)
    with unavailable_without_database():
        revocations.current().refresh()
        principal = recognised(authorization_header, scope, assertion)
        if principal is None:
            principal = _verified(token, assertion)
            _memory().put(_shown(authorization_header, assertion), principal)
    return _permitted(principal, scope)


def recognised(authorization_header: str | None, scope: str, assertion: Assertion | None = None) -> Principal | None:
    """Return whom ``authenticate`` would, from memory alone; None if it must be asked.

    Raises:
        Problem: as ``authenticate`` does, where memory is enough to know.
    """
    denied = revocations.current()
    principal = _memory().get(_shown(authorization_header, assertion))
    if principal is None:
        if assertion is None:
            bearer_token(authorization_header)  # which says what is wrong where there is none
        return None
    if not denied.is_fresh:
        return None
    if denied.denies(principal.token_id, principal.api_client_id):
        raise invalid_token("The access token has been revoked.")
    return _permitted(principal, scope)


def _shown(authorization_header: str | None, assertion: Assertion | None) -> str:
    """Write what a request shows; no Authorization header looks like a gateway's, for none has a line break."""
    return (authorization_header or "") if assertion is None else f"{assertion.header}\n{assertion.token}"


def bearer_token(authorization_header: str | None) -> str:
    """Take the token out of ``Authorization: Bearer TOKEN``.

    Raises:
        Problem: ``unauthenticated`` without such a header, ``invalid_token`` for what cannot be a token.
    """
    scheme, _, rest = (authorization_header or "").partition(" ")
    if scheme.lower() != "bearer":
        detail = "This address needs an access token, sent as Authorization: Bearer TOKEN."
        raise Problem("unauthenticated", detail, headers={"WWW-Authenticate": f'Bearer realm="{REALM}"'})
    return _well_formed(rest.strip(" "))


def _well_formed(token: str) -> str:
    if len(token) > signatures.MAX_TOKEN or not _TOKEN.fullmatch(token):
        raise invalid_token("The access token is malformed.")
    return token


def invalid_token(reason: str) -> Problem:
    """Say that a token is refused, in a sentence of printable ASCII without quotes."""
    challenge = f'Bearer realm="{REALM}", error="invalid_token", error_description="{reason}"'
    return Problem("invalid_token", reason, headers={"WWW-Authenticate": challenge})


def _permitted(principal: Principal, scope: str) -> Principal:
    if scope in principal.scopes:
        return principal
    detail = f"This address needs the scope {scope}, which the access token does not have."
    challenge = f'Bearer realm="{REALM}", error="insufficient_scope", error_description="{detail}", scope="{scope}"'
    raise Problem("insufficient_scope", detail, headers={"WWW-Authenticate": challenge})


def _verified(token: str, assertion: Assertion | None) -> Principal:
    """Check the signature, the claims and the client; what it raises is the same for every fault of a signature."""
    try:
        issuer = _issuer(token, assertion)
        claims = access_tokens.read(token) if issuer is None else trusted_issuers.read(token, issuer)
    except InvalidJwt as error:
        raise invalid_token(str(error)) from error
    with db.current().read() as session:
        client = _client(session, claims, issuer)
    if client is None:
        raise invalid_token("The access token belongs to no API client of this installation.")
    token_id = _token_id(claims)
    if client.revoked_at is not None or revocations.current().denies(token_id, client.id):
        raise invalid_token("The access token has been revoked.")
    if issuer is not None:
        clients.note_use(client)
    return Principal(
        api_client_id=client.id,
        client_id=client.client_id,
        service_id=client.service_id,
        scopes=claims.scopes & frozenset(client.scopes.split()),
        token_id=token_id,
        expires_at=claims.exp,
        manner=reach.manner(client),
    )


def _issuer(token: str, assertion: Assertion | None) -> TrustedIssuer | None:
    """Return the trusted issuer that a token says it is of; None for what has to be one of ours.

    Raises:
        InvalidJwt: if it came in a header that the issuer's tokens do not come in.
    """
    named = signatures.unverified(token).claims.get("iss")
    issuer = None if named == settings.current().base_url else trusted_issuers.named(named)
    if (assertion.header if assertion else "") != (issuer.header if issuer else ""):
        raise InvalidJwt("The access token was issued by someone else.")
    return issuer


def _client(session: Session, claims: Claims, issuer: TrustedIssuer | None) -> ApiClient | None:
    """Find a token's client: by its issuer and its id there, else by the client id that it has here."""
    if issuer is not None and (bound := clients.by_issuer(session, issuer.issuer, claims.client_id)) is not None:
        return bound
    own = clients.by_client_id(session, claims.client_id)
    return own if own is not None and own.issuer is None else None


def _token_id(claims: Claims) -> str:
    """Name a token: ours by its jti, another issuer's so that it cannot be taken for ours."""
    if claims.iss == settings.current().base_url:
        return claims.jti
    return hashlib.sha256(f"{claims.iss}\n{claims.jti}".encode("utf-8", "surrogatepass")).hexdigest()


class _Memory:
    """The principals of verified tokens, keyed by a digest of the whole header, so that no token stays in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[Principal, float]] = {}

    def get(self, header: str) -> Principal | None:
        found = self._known.get(_digest(header))
        return found[0] if found is not None and clock.timestamp() < found[1] else None

    def put(self, header: str, principal: Principal) -> None:
        """Remember until the token's end; for at most an hour, as the deny list reaches back no further."""
        until = min(principal.expires_at, clock.timestamp() + revocations.MEMORY_SECONDS)
        with self._lock:
            while len(self._known) >= MAX_CACHED:
                del self._known[next(iter(self._known))]
            self._known[_digest(header)] = (principal, until)


def _digest(header: str) -> bytes:
    return hashlib.sha256(header.encode()).digest()


@lru_cache(maxsize=1)
def _memory_of(_database: Database) -> _Memory:
    return _Memory()


def _memory() -> _Memory:
    return _memory_of(db.current())
