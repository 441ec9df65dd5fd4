"""Signing in to a mail server (RFC 4954): one mechanism, and one failed login at most for an attempt."""

import smtplib
from typing import Protocol

from backend.channels.smtp_oauth import TokenSource

# The order in which they are tried where the server offers several and the address names none. A server that keeps
# digests of passwords offers CRAM-MD5 in vain, so it comes last.
PASSWORDS = ("PLAIN", "LOGIN", "CRAM-MD5")
XOAUTH2 = "XOAUTH2"
# The command is not understood in this form, which says nothing of the credentials (RFC 4954, section 4).
_NOT_UNDERSTOOD = range(500, 505)
_WRONG = 535


class _Answers(Protocol):
    """What smtplib asks for the next line to the server, by the challenge that it gave, if any."""

    def __call__(self, challenge: bytes | None = None, /) -> str: ...


def sign_in(client: smtplib.SMTP, user: str, password: str, auth: str | None, token: TokenSource | None) -> None:
    """Sign in by the mechanism ``auth``, in capitals, or else by the first that both sides know.

    The ``token`` stands for the password with XOAUTH2. Raises ``smtplib.SMTPException``, and ``ProviderError`` where
    there is no token to be had.
    """
    if token is not None:
        _with_token(client, user, token)
        return
    offered = client.esmtp_features.get("auth", "").upper().split()
    known = [auth] if auth else [name for name in PASSWORDS if name in offered]
    if not known or not client.has_extn("auth"):
        raise smtplib.SMTPNotSupportedError
    client.user, client.password = user, password
    refusal: smtplib.SMTPAuthenticationError | None = None
    for mechanism in known:
        try:
            _by_password(client, mechanism)
        except smtplib.SMTPAuthenticationError as fault:
            if fault.smtp_code not in _NOT_UNDERSTOOD:
                raise
            refusal = fault
        else:
            return
    if refusal is not None:
        raise refusal


def _by_password(client: smtplib.SMTP, mechanism: str) -> None:
    match mechanism:
        case "PLAIN":
            try:
                client.auth(mechanism, client.auth_plain)
            except smtplib.SMTPAuthenticationError as fault:
                if fault.smtp_code not in _NOT_UNDERSTOOD:
                    raise
                client.auth(mechanism, client.auth_plain, initial_response_ok=False)
        case "LOGIN":
            # A server that asks for the user although it has been told takes the password for it.
            client.auth(mechanism, _login(client.user, client.password), initial_response_ok=False)
        case _:
            client.auth(mechanism, client.auth_cram_md5)


def _login(user: str, password: str) -> _Answers:
    lines = iter((user, password))

    def answer(_challenge: bytes | None = None, /) -> str:
        return next(lines, "")

    return answer


def _with_token(client: smtplib.SMTP, user: str, source: TokenSource) -> None:
    """Sign in with an access token; one that the server does not take is got anew, once."""
    token = source.token()
    try:
        client.auth(XOAUTH2, _bearer(user, token))
    except smtplib.SMTPAuthenticationError as fault:
        if fault.smtp_code != _WRONG:
            raise
        client.auth(XOAUTH2, _bearer(user, source.token(instead_of=token)))


def _bearer(user: str, token: str) -> _Answers:
    """Return what answers the server: the token, and nothing to its account of what is wrong with it.

    https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
    """

    def answer(challenge: bytes | None = None, /) -> str:
        return "" if challenge else f"user={user}\x01auth=Bearer {token}\x01\x01"

    return answer
