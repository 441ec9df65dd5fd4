"""Who asks the OAuth endpoints: client_secret_basic, client_secret_post (RFC 6749 §2.3) and private_key_jwt (RFC 7523).

A client uses one of them. Whatever is wrong with what it shows, the answer and the work before it are the same.

Failures are counted by client and by network address, and slowed. A client that has not failed from where it asks is
never slowed, so that somebody who guesses its secret from elsewhere, or another's from the same network, cannot keep
it from its tokens.
"""

import base64
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import unquote_plus

from authlib.oauth2 import OAuth2Error

from backend.accounts import attempts, clients
from backend.accounts.oauth import client_assertions
from backend.accounts.oauth.answers import INVALID_CLIENT, invalid_client, invalid_request
from backend.accounts.oauth.forms import FormRequest
from backend.db import database as db
from backend.db.models.accounts import ApiClient

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")


def authenticate(request: FormRequest) -> ApiClient:
    """Return the live client that the request proves to come from.

    Raises:
        OAuth2Error: ``invalid_client`` (401), or ``invalid_request`` for several ways at once.
        Problem: ``rate_limited`` after too many failures.
    """
    claimed, prove = _claim(request)
    buckets = attempts.at_tokens(claimed, request.address)
    with db.current().read() as session:
        attempts.check(session, *buckets)
    try:
        return prove()
    except OAuth2Error as error:
        if error.error == INVALID_CLIENT:
            attempts.take(db.current(), *buckets, durable=False)
        raise


def _claim(request: FormRequest) -> tuple[str, Callable[[], ApiClient]]:
    """Return which client the request says that it is from, and how to see whether it is."""
    form = request.form
    ways = [request.authorization is not None, "client_secret" in form, "client_assertion" in form]
    if sum(ways) > 1:
        raise invalid_request("The client must authenticate in one way only.")
    if "client_assertion" in form:
        return client_assertions.claimed(form), partial(_by_assertion, form)
    if request.authorization is not None:
        client_id, secret = _basic(request.authorization)
        if client_id and form.get("client_id", client_id) != client_id:
            raise invalid_request("The client_id of the form is not that of the Authorization header.")
    else:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    return client_id, partial(_by_secret, client_id, secret)


def _by_assertion(form: Mapping[str, str]) -> ApiClient:
    proven = client_assertions.authenticate(form)
    clients.note_use(proven)
    return proven


def _by_secret(client_id: str, secret: str) -> ApiClient:
    with db.current().read() as session:
        client = clients.by_client_id(session, client_id)
        right = clients.matching_secret(session, client, secret)
    if client is None or right is None:
        raise invalid_client()
    clients.take_over(right, secret)
    clients.note_use(client, right)
    return client


def _basic(header: str) -> tuple[str, str]:
    """Read HTTP Basic credentials, each part form-encoded before (RFC 6749 §2.3.1); what cannot be read is nobody's."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        pair = base64.b64decode(encoded.strip().encode("ascii"), validate=True).decode("utf-8")
        client_id, _, secret = pair.partition(":")
        parts = unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except ValueError:  # malformed base64, or bytes that are not UTF-8
        return "", ""
    return parts
