"""Token issuers that the operator trusts: their addresses alone, or a TOML file that says how each writes its tokens.

Issuers follow RFC 9068 to different degrees. What they do otherwise is said in the file, one table for each:

    [cognito]
    issuer = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Example"
    audience = "none"
    token_type = "JWT"
    require = { token_use = "access" }
    scope_prefix = "carillon/"
"""

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

Network = IPv4Network | IPv6Network
Algorithm = Literal[
    "EdDSA", "Ed25519", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"
]  # fmt: skip
NO_AUDIENCE = "none"
_MAX_BYTES = 256 * 1024
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
# What a request has for other reasons is no place for an assertion.
_TAKEN_HEADERS = {"authorization", "cookie", "host", "content-type", "content-length", "x-forwarded-for"}
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class UnusableIssuers(ValueError):
    """The setting cannot be used; the text is the rest of a sentence that begins with the setting's name."""


class TrustedIssuer(msgspec.Struct, frozen=True, kw_only=True):
    """How the access tokens of one issuer are read.

    ``audiences`` are those that a token may be for, the base address of the installation if there are none; with
    ``no_audience`` the issuer's access tokens have no ``aud``, and one that has it is refused. ``plain`` takes tokens
    whose header has no type or ``JWT`` (RFC 9068 wants ``at+jwt``) and which lack ``jti`` or ``iat``. Claims are named
    from the top, those of an object inside with dots. ``required`` claims must have that value. Scopes are taken from
    ``scopes_claim``, without their ``scope_prefix``, and by ``scope_names`` if it has any; a token without the claim
    has ``default_scopes``. ``header`` is the request header in which the gateways of the networks ``gateways`` send the
    token, and then nobody else may send one, nor in another header. ``jwks_uri`` is where the keys are, for an issuer
    that has no metadata.
    """

    issuer: str
    audiences: tuple[str, ...] = ()
    no_audience: bool = False
    plain: bool = False
    client_claims: tuple[str, ...] = ("client_id",)
    required: Mapping[str, str | int | bool] = MappingProxyType({})
    scopes_claim: str = "scope"
    scope_prefix: str = ""
    scope_names: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    default_scopes: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()
    header: str = ""
    gateways: tuple[Network, ...] = ()
    jwks_uri: str = ""

    def __hash__(self) -> int:
        return hash(self.issuer)


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    """A table of the file, as it is written there."""

    issuer: str = ""
    audience: _Text | list[_Text] | None = None
    token_type: Literal["at+jwt", "JWT"] = "at+jwt"  # noqa: S105 - a type of tokens, no secret
    client_claim: _Text | list[_Text] = "client_id"
    require: dict[str, str | int | bool] = {}
    scope_claim: _Text = "scope"
    scope_prefix: str = ""
    scopes: dict[str, _Text | list[_Text]] = {}
    default_scopes: list[_Text] = []
    algorithms: list[Algorithm] = []
    header: str = ""
    header_from: _Text | list[_Text] = []
    jwks_uri: str = ""


def read(setting: str) -> tuple[TrustedIssuer, ...]:
    """Read the setting: addresses with commas between them, or the path of a TOML file; empty for none.

    Raises:
        UnusableIssuers: for the first thing that cannot be used.
    """
    given = [part.strip() for part in setting.split(",") if part.strip()]
    if len(given) == 1 and "://" not in given[0]:
        return _from_file(Path(given[0]))
    for address in given:
        if not _is_web_address(address):
            raise UnusableIssuers(
                "must be http or https addresses with commas between them, or the path of a TOML file, "
                f"not {address[:80]!r}."
            )
    return tuple(TrustedIssuer(issuer=address) for address in given)


def _from_file(path: Path) -> tuple[TrustedIssuer, ...]:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES).decode()
        tables = tomllib.loads(text)
    except OSError as error:
        raise UnusableIssuers(f"names the file {path}, which cannot be read: {error.strerror}.") from error
    except ValueError as error:  # tomllib.TOMLDecodeError and UnicodeDecodeError are such
        raise UnusableIssuers(f"names the file {path}, which is not TOML in UTF-8: {error}.") from error
    found = [_described(path, name, members) for name, members in tables.items()]
    issuers = [one.issuer for one in found]
    if len(set(issuers)) < len(issuers):
        twice = next(one for one in issuers if issuers.count(one) > 1)
        raise UnusableIssuers(f"names the file {path}, in which the issuer {twice} has two tables.")
    return tuple(found)


def _described(path: Path, name: str, members: Any) -> TrustedIssuer:
    try:
        return _issuer(name, members)
    except UnusableIssuers as fault:
        raise UnusableIssuers(f"names the file {path}, whose table [{name[:80]}] {fault}") from fault


def _issuer(name: str, members: Any) -> TrustedIssuer:
    try:
        table = msgspec.convert(members, _Table)
    except msgspec.ValidationError as error:
        raise UnusableIssuers(f"cannot be used: {_plain_words(str(error))}.") from error
    issuer = table.issuer or (name if "://" in name else "")
    if not issuer:
        raise UnusableIssuers("lacks its issuer, the exact iss of its tokens.")
    if not (_is_web_address(issuer) or table.jwks_uri):
        raise UnusableIssuers("needs jwks_uri, since its issuer is no address where metadata could be found.")
    if table.jwks_uri and not _is_web_address(table.jwks_uri):
        raise UnusableIssuers("needs an http or https address as jwks_uri.")
    audiences = _several(table.audience or [])
    no_audience = audiences == (NO_AUDIENCE,)
    if no_audience and not (table.require or table.header):
        raise UnusableIssuers(
            "says that its tokens have no audience; then require must name a claim that only its access tokens have."
        )
    return TrustedIssuer(
        issuer=issuer,
        audiences=() if no_audience else audiences,
        no_audience=no_audience,
        plain=table.token_type == "JWT",  # noqa: S105 - a type of tokens, no secret
        client_claims=_several(table.client_claim),
        required=table.require,
        scopes_claim=table.scope_claim,
        scope_prefix=table.scope_prefix,
        scope_names={theirs: _several(ours) for theirs, ours in table.scopes.items()},
        default_scopes=tuple(table.default_scopes),
        algorithms=tuple(table.algorithms),
        header=_header(table),
        gateways=tuple(_network(one) for one in _several(table.header_from)),
        jwks_uri=table.jwks_uri,
    )


def _header(table: _Table) -> str:
    name = table.header.lower()
    if bool(name) is not bool(table.header_from):
        raise UnusableIssuers("must name header and header_from together: who may send the header, and which it is.")
    if name and (not _HEADER.fullmatch(name) or name in _TAKEN_HEADERS):
        raise UnusableIssuers(f"names the header {table.header[:80]!r}, which cannot carry a token.")
    return name


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise UnusableIssuers(
            f"must have addresses or networks such as 10.0.0.7 or 10.0.0.0/24 in header_from, not {text[:80]!r}."
        ) from error


def _several(given: str | list[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _is_web_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        _ = parts.port  # read here, for it is checked when it is read
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _plain_words(sentence: str) -> str:
    """Say what msgspec says of a table without its words for types and places."""
    unknown = re.fullmatch(r"Object contains unknown field `(.+)`(?: - at .*)?", sentence)
    if unknown:
        return f"{unknown[1]!r} is no member of it; there are {', '.join(_Table.__struct_fields__)}"
    where = re.search(r" - at `\$\.?(.*?)`$", sentence)
    member = re.sub(r"\[\.\.\.\]|\[\d+\]|\..*", "", where[1]) if where else ""
    return f"its {member} has a value that is not allowed there" if member else "it is no table of members"
