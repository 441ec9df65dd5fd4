"""Addresses of endpoints: one canonical form per channel, and a clear sentence for everything else."""

import re
from collections.abc import Callable, Sequence
from urllib.parse import SplitResult, urlsplit

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from backend.channels import apprise_address, postal, simulator, ticket_options
from backend.channels.base import Channel
from backend.lib.problems import Problem

_SLACK_CHANNEL = re.compile(r"#[\w-]{1,80}")
_SLACK_ID = re.compile(r"[CGD][A-Z0-9]{8,20}", re.ASCII)
_SLACK_HOOK_PATH = re.compile(r"/services/[A-Za-z0-9]+/[A-Za-z0-9]+/[A-Za-z0-9]+", re.ASCII)
_TEAMS_HOSTS = (".logic.azure.com", ".environment.api.powerplatform.com")
# It is kept sealed, which takes a third more room.
_MAX_URL_BYTES = 1400
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_URL = re.compile(r"https?://[!-\[\]-~]{1,2040}", re.ASCII | re.IGNORECASE)

# Mail inside an organisation may use .local, and trials use .test (the test environment of the validator).
# The names that no mail can ever reach (.invalid, .localhost, .onion, .arpa) stay refused.
if "local" in SPECIAL_USE_DOMAIN_NAMES:
    SPECIAL_USE_DOMAIN_NAMES.remove("local")

_EMAIL_FORM = "An EMAIL address is one plain address such as alerts@lab.example"
_SLACK_FORM = (
    "A SLACK address is #channel, a channel id such as C0123456789, or an incoming-webhook URL "
    "https://hooks.slack.com/services/…"
)
_TEAMS_FORM = (
    "An MSTEAMS address is the https URL of a Workflows webhook on *.logic.azure.com or "
    "*.environment.api.powerplatform.com"
)
_SMS_FORM = "An SMS address is a number in E.164 form with its country code, such as +447700900123"
_FRESHSERVICE_FORM = (
    "A FRESHSERVICE address is the requester's e-mail address with options, such as "
    "alerts@lab.example;group_id=42;priority=2"
)


def normalise(channel: Channel, address: str, allow: Sequence[str] = ()) -> str:
    """Return the canonical form of an endpoint's address.

    ``allow`` lists the ``host:port`` pairs that a webhook URL may name although they are not the vendor's.
    Raises ``Problem("invalid_address")`` with a sentence that says the form wanted; it never repeats the
    address, which may be a secret.
    """
    canonical = _FORMS[channel](address.strip(" \t"), allow)
    if "://" in canonical and len(canonical.encode()) > _MAX_URL_BYTES:
        raise _refusal(f"A URL as address has at most {_MAX_URL_BYTES} bytes")
    return canonical


def masked(channel: str, address: str) -> str:
    """Return an address as an answer or a page may show it: of one that is itself a secret, only its ends.

    ``https://host/…abcd`` is left of a webhook and ``scheme://…abcd`` of an APPRISE address, by which their owner knows
    them again; the other channels' addresses are no secrets.
    """
    web = address.lower().startswith(("https://", "http://"))
    if channel == Channel.APPRISE or ("://" in address and not web):
        return apprise_address.masked(address)
    if not web:
        return address
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…{_end(parts.path + parts.query)}"


def _end(secret: str) -> str:
    """Return the last four characters of a text that is long enough to spare them."""
    return secret[-4:] if len(secret) >= 16 else ""


def _refusal(form: str, reason: str = "") -> Problem:
    return Problem("invalid_address", f"{form}; {reason}." if reason else f"{form}.")


def _email(address: str, form: str) -> str:
    if any(c in address for c in "\r\n\0"):
        raise _refusal(form, "this one contains a line break or control character")
    if any(c in address for c in "<>"):
        raise _refusal(form, "leave out the display name and the angle brackets")
    if address.count("@") > 1 or any(c in address for c in ",;"):
        raise _refusal(form, "give each address an endpoint of its own")
    local, _, domain = address.rpartition("@")
    if not local or not domain:
        raise _refusal(form, "this one is not of the form name@domain")
    if not local.isascii():
        raise _refusal(form, "the part before the @ may hold ASCII characters only")
    if "." not in domain:
        raise _refusal(form, "the part after the @ needs a full domain name with a dot")
    simulated = domain.lower() == simulator.DOMAIN  # which nothing else may be sent to, being no real one
    try:
        valid = validate_email(
            f"{local}@{domain}.test" if simulated else address,
            check_deliverability=False,
            allow_smtputf8=False,
            strict=True,
            test_environment=True,
        )
    except EmailNotValidError as fault:
        raise _refusal(form, _lower_first(str(fault))) from None
    return f"{valid.local_part}@{simulator.DOMAIN if simulated else (valid.ascii_domain or '').lower()}"


def _lower_first(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _sms(address: str) -> str:
    number = re.sub(r"[ .-]", "", address)
    if not _E164.fullmatch(number):
        raise _refusal(_SMS_FORM)
    return number


def _slack(address: str, allow: Sequence[str]) -> str:
    if _SLACK_CHANNEL.fullmatch(address.lower()):
        return address.lower()
    if _SLACK_ID.fullmatch(address):
        return address
    url, on_list = _webhook(address, allow, _SLACK_FORM)
    if not on_list and (url.hostname != "hooks.slack.com" or not _SLACK_HOOK_PATH.fullmatch(url.path)):
        raise _refusal(_SLACK_FORM)
    return url.geturl()


def _teams(address: str, allow: Sequence[str]) -> str:
    url, on_list = _webhook(address, allow, _TEAMS_FORM)
    if not on_list and not (url.hostname or "").endswith(_TEAMS_HOSTS):
        raise _refusal(_TEAMS_FORM)
    if not on_list and len(url.path) < 2:
        raise _refusal(_TEAMS_FORM, "copy the whole URL, with its path and signature")
    return url.geturl()


def _webhook(address: str, allow: Sequence[str], form: str) -> tuple[SplitResult, bool]:
    """Return the URL with a lower-case host and no default port, and whether the allow list names it."""
    if not _URL.fullmatch(address):
        raise _refusal(form)
    try:
        url = urlsplit(address)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise _refusal(form) from None
    if "@" in url.netloc or url.fragment or not host:
        raise _refusal(form, "user names, passwords and fragments are refused")
    default = 443 if url.scheme == "https" else 80
    bracketed = f"[{host}]" if ":" in host else host
    on_list = f"{bracketed}:{port or default}" in {entry.strip().lower() for entry in allow}
    if not on_list and (url.scheme != "https" or (port or default) != 443):
        raise _refusal(form, "only https on port 443 is allowed")
    netloc = bracketed if port in (None, default) else f"{bracketed}:{port}"
    return url._replace(netloc=netloc), on_list


def _freshservice(address: str) -> str:
    return ticket_options.canonical(
        address, lambda text: _email(text, _FRESHSERVICE_FORM), lambda reason: _refusal(_FRESHSERVICE_FORM, reason)
    )


_FORMS: dict[Channel, Callable[[str, Sequence[str]], str]] = {
    Channel.EMAIL: lambda address, _: _email(address, _EMAIL_FORM),
    Channel.SLACK: _slack,
    Channel.MSTEAMS: _teams,
    Channel.SMS: lambda address, _: _sms(address),
    Channel.FRESHSERVICE: lambda address, _: _freshservice(address),
    Channel.LETTER: lambda address, _: postal.normalise(address),
    Channel.APPRISE: apprise_address.normalise,
}
