"""Signing in at an OpenID provider (OpenID Connect Core 1.0, Discovery 1.0), through Authlib.

Authlib compares neither the issuer of the discovered metadata nor the audience of an ID token, and takes whatever
algorithms the metadata names: all three are checked here.
"""

import logging
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.base_client import BaseApp, FrameworkIntegration, OAuthError
from authlib.integrations.base_client.sync_app import OAuth2Mixin
from authlib.integrations.base_client.sync_openid import OpenIDMixin
from authlib.integrations.httpx_client import OAuth2Client
from joserfc.errors import JoseError

from backend.accounts import group_roles, oidc_client
from backend.accounts.oidc_transport import Transport
from backend.lib import clock, settings
from backend.lib.problems import Problem
from backend.lib.settings import LOOPBACK

logger = logging.getLogger(__name__)

CALLBACK = "/portal/sign-in/oidc/callback"
# Asymmetric signatures alone: a token signed with the client's secret proves no more than that somebody knows it.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
_KEEP_SECONDS = 3600
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class Departure(msgspec.Struct, frozen=True):
    """Where to send the browser, and what its return is validated by; the representation leaves the secrets out."""

    address: str
    state: str
    nonce: str
    code_verifier: str

    def __repr__(self) -> str:
        return "Departure()"


class Arrival(msgspec.Struct, frozen=True):
    """Who came back: ``issuer`` and ``subject`` are the identity, ``name`` what the provider calls them, for show.

    ``email`` is their address if the provider does not doubt it, for an account that is made for them. ``groups`` are
    those of the claim that CARILLON_OIDC_GROUPS_CLAIM names; None where they are not known, or not asked for.
    """

    issuer: str
    subject: str
    name: str
    email: str = ""
    groups: tuple[str, ...] | None = None


class Refused(Exception):
    """The sign-in is not accepted; the text is a sentence for the person."""


def is_set() -> bool:
    """Tell whether this installation has an OpenID provider."""
    return bool(settings.current().oidc_issuer)


def provider_name() -> str:
    """Return the provider's host, as people may know it."""
    return urlsplit(settings.current().oidc_issuer).hostname or ""


def depart() -> Departure:
    """Begin a sign-in.

    Raises:
        Problem: ``sign_in_unavailable`` if the provider cannot be reached or used.
    """
    try:
        made = _provider().create_authorization_url(_redirect_uri())
    except (httpx2.HTTPError, httpx2.InvalidURL, AuthlibBaseError, ValueError, KeyError) as error:
        raise _unavailable(error) from error
    return Departure(made["url"], made["state"], made["nonce"], made["code_verifier"])


def arrive(code: str, issuer: str | None, departed: Departure) -> Arrival:
    """Exchange the code and read who it is; ``issuer`` is the answer's ``iss`` parameter (RFC 9207), if it had one.

    Raises:
        Refused: if the answer, or the ID token, is not one for us.
        Problem: ``sign_in_unavailable`` if the provider cannot be reached or used.
    """
    provider = _provider()
    try:
        _check_sender(provider, issuer)
        token = provider.fetch_access_token(
            redirect_uri=_redirect_uri(), code=code, code_verifier=departed.code_verifier
        )
        claims = _claims(provider, token, departed.nonce)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _unavailable(error) from error
    except OAuthError as error:
        raise refused_by_provider(error.error, error.description) from error
    except (AuthlibBaseError, JoseError, ValueError, KeyError, TypeError) as error:
        # Its token is not for us; what exactly goes to the log alone.
        logger.warning("A sign-in through %s was refused: %s", provider_name(), type(error).__name__)
        raise Refused("The identity provider’s answer could not be accepted.") from error
    return _arrival(claims)


def refused_by_provider(error: object, description: object) -> Refused:
    """Tell what the provider says of a sign-in that failed (RFC 6749 §4.1.2.1, §5.2), to the log and to the person."""
    code, more = _said(error, 80), _said(description, 300).rstrip(".")
    logger.warning("The OpenID provider %s refused a sign-in: %s (%s)", provider_name(), code, more or "no description")
    if not code:
        return Refused(f"{provider_name()} did not sign you in.")
    return Refused(f"{provider_name()} did not sign you in. It said: {more or code}{f' ({code})' if more else ''}.")


def _said(text: object, most: int) -> str:
    return "".join(one for one in str(text or "") if one.isprintable())[:most].strip()


def _arrival(claims: dict[str, Any]) -> Arrival:
    configuration, subject = settings.current(), str(claims["sub"])
    if not 1 <= len(subject) <= 255:
        raise Refused("The identity provider named you in a form that cannot be kept.")
    name = claims.get("email") or claims.get("preferred_username") or claims.get("name") or subject
    email = "" if claims.get("email_verified") is False else str(claims.get("email") or "")
    asked = configuration.oidc_groups_claim
    groups = group_roles.read_claim(claims, asked) if asked else None
    if asked and groups is None:
        logger.warning("%s left out the groups of somebody who has very many; their roles stay", provider_name())
    return Arrival(configuration.oidc_issuer, subject, str(name)[:254], email[:254], groups)


class _Provider(OAuth2Mixin, OpenIDMixin, BaseApp):  # type: ignore[misc] # Authlib ships no types
    """The provider of the settings, with its metadata and keys; they are asked for anew after an hour."""

    client_cls = OAuth2Client

    def load_server_metadata(self) -> dict[str, Any]:
        """Return the provider's metadata, checked once; see OpenID Connect Discovery 1.0, section 4.3."""
        metadata: dict[str, Any] = self.server_metadata
        if "_loaded_at" not in metadata:
            found = self._discovered()
            metadata.update(found, _loaded_at=clock.timestamp())
        return metadata

    def _get_oauth_client(self, **metadata: Any) -> Any:
        """Make Authlib's client, which proves itself as the provider wants it."""
        return super()._get_oauth_client(**metadata, token_endpoint_auth_method=oidc_client.method(metadata))

    def _discovered(self) -> dict[str, Any]:
        with self._get_session() as session:
            answer = session.request("GET", self._server_metadata_url, withhold_token=True)
            answer.raise_for_status()
            found = answer.json()
        issuer = settings.current().oidc_issuer
        if not isinstance(found, dict) or found.get("issuer") != issuer:
            raise ValueError("the discovered metadata names another issuer")
        for name in _ENDPOINTS:
            _check_endpoint(name, found.get(name))
        usable = [one for one in found.get("id_token_signing_alg_values_supported", ()) if one in ALGORITHMS]
        if not usable:
            raise ValueError("the provider signs with no algorithm that is accepted")
        oidc_client.method(found)  # which says so if there is none
        # Keys inside the metadata are no part of the standard: they come from jwks_uri.
        return {k: v for k, v in found.items() if k != "jwks"} | {"id_token_signing_alg_values_supported": usable}


def _provider() -> _Provider:
    return _provider_of(settings.current(), int(clock.timestamp() // _KEEP_SECONDS))


@lru_cache(maxsize=1)
def _provider_of(configuration: settings.Settings, _hour: int) -> _Provider:
    issuer = configuration.oidc_issuer
    return _Provider(
        FrameworkIntegration("oidc"),
        name="oidc",
        client_id=configuration.oidc_client_id,
        client_secret=configuration.oidc_client_secret,
        server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid email profile",
            "code_challenge_method": "S256",
            "transport": Transport(),
            "trust_env": False,
        },
    )


def _check_endpoint(name: str, address: object) -> None:
    parts = urlsplit(address) if isinstance(address, str) else None
    if parts is None or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)):
        raise ValueError(f"the provider's {name} is no https address")


def _check_sender(provider: _Provider, issuer: str | None) -> None:
    """Compare the ``iss`` of the answer (RFC 9207, section 2.4): another provider's answer must not be ours."""
    promised = provider.load_server_metadata().get("authorization_response_iss_parameter_supported") is True
    if (issuer is None and promised) or (issuer is not None and issuer != settings.current().oidc_issuer):
        raise Refused("The answer came from another identity provider.")


def _claims(provider: _Provider, token: dict[str, Any], nonce: str) -> dict[str, Any]:
    configuration = settings.current()
    claims = provider.parse_id_token(
        token,
        nonce,
        claims_options={
            "iss": {"essential": True, "value": configuration.oidc_issuer},
            "aud": {"essential": True, "value": configuration.oidc_client_id},
        },
    )
    # A token for several audiences could be brought here by any of them.
    if claims is None or claims["aud"] not in (configuration.oidc_client_id, [configuration.oidc_client_id]):
        raise ValueError("there is no ID token for this client alone")
    return dict(claims)


def _redirect_uri() -> str:
    return f"{settings.current().base_url}{CALLBACK}"


def _unavailable(error: Exception) -> Problem:
    logger.error("The OpenID provider %s cannot be used: %s", settings.current().oidc_issuer, _reason(error))
    return Problem("sign_in_unavailable", f"Signing in through {provider_name()} does not work at the moment.")


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) else type(error).__name__
