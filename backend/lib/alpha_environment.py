"""The variables that installations of the GOV.UK Notify alpha export, read as provider addresses.

They count where no ``CARILLON_…_PROVIDERS`` is set for the channel. Amazon's stand on many machines for other ends:
those that come with a session or a profile are somebody's own and are left alone.
"""

from collections.abc import Mapping
from urllib.parse import quote

_REGION = "eu-west-1"  # where the alpha's account was


def providers(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that the variables stand for, as they are written."""
    found = {"email_providers": email_providers(environ), "sms_providers": sms_providers(environ)}
    return {name: ",".join(addresses) for name, addresses in found.items() if addresses}


def email_providers(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return SendGrid, then Amazon SES, as far as they are there."""
    read = _Variables(environ)
    found = []
    if key := read("SENDGRID_API_KEY"):
        found.append(f"sendgrid://{key}@api.sendgrid.com")
    key, secret = read("AWS_ACCESS_KEY_ID"), read("AWS_SECRET_ACCESS_KEY")
    if key and secret and not (read("AWS_SESSION_TOKEN") or read("AWS_PROFILE")):
        found.append(f"ses://{key}:{secret}@{read('AWS_REGION') or read('AWS_DEFAULT_REGION') or _REGION}")
    return tuple(found)


def sms_providers(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return Twilio, then Plivo, as far as they are there with a number or name to send from."""
    read = _Variables(environ)
    found = []
    for kind, account, token, sender in (
        ("twilio", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_NUMBER"),
        ("plivo", "PLIVO_ACCOUNT_SID", "PLIVO_AUTH_TOKEN", "FROM_NUMBER"),
    ):
        name = read(sender) or read("FROM_NUMBER")
        if read(account) and read(token) and name:
            found.append(f"{kind}://{read(account)}:{read(token)}@api.{kind}.com?from={name}")
    return tuple(found)


class _Variables:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __call__(self, name: str) -> str:
        """Return a variable as it may stand in an address; empty if it is not there."""
        return quote(self._environ.get(name, "").strip(), safe="")
