"""Who asks the OAuth endpoints: client_secret_basic, client_secret_post (RFC 6749 §2.3) and private_key_jwt (RFC 7523).

A client uses one of them. Whatever is wrong with what it shows, the answer and the work before it are the same.
"""

import base64
from urllib.parse import unquote_plus

from backend.accounts import clients
from backend.accounts.oauth import client_assertions
from backend.accounts.oauth.answers import invalid_client, invalid_request
from backend.accounts.oauth.forms import FormRequest
from backend.db import session as databases
from backend.db.models.accounts import ApiClient

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")


def authenticate(request: FormRequest) -> ApiClient:
    """Return the live client that the request proves to come from.

    Raises:
        OAuth2Error: ``invalid_client`` (401), or ``invalid_request`` for several ways at once.
    """
    form = request.form
    ways = [request.authorization is not None, "client_secret" in form, "client_assertion" in form]
    if sum(ways) > 1:
        raise invalid_request("The client must authenticate in one way only.")
    if "client_assertion" in form:
        proven = client_assertions.authenticate(form)
        clients.note_use(proven)
        return proven
    if request.authorization is not None:
        client_id, secret = _basic(request.authorization)
        if form.get("client_id", client_id) != client_id:
            raise invalid_request("The client_id of the form is not that of the Authorization header.")
    else:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    return _by_secret(client_id, secret)


def _by_secret(client_id: str, secret: str) -> ApiClient:
    with databases.current().read() as session:
        client = clients.by_client_id(session, client_id)
        right = clients.matching_secret(session, client, secret)
    if client is None or right is None:
        raise invalid_client()
    clients.take_over(right, secret)
    clients.note_use(client, right)
    return client


def _basic(header: str) -> tuple[str, str]:
    """Read HTTP Basic credentials, each part form-encoded before (RFC 6749 §2.3.1)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise invalid_client()
    try:
        pair = base64.b64decode(encoded.strip().encode("ascii"), validate=True).decode("utf-8")
        client_id, _, secret = pair.partition(":")
        parts = unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except ValueError as error:  # malformed base64, or bytes that are not UTF-8
        raise invalid_client() from error
    return parts
