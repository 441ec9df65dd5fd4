"""What every provider of text messages asks of a message: a number, and a text that fits."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

import msgspec

from backend.channels import mime
from backend.channels.base import Message, Outcome, ProviderError
from backend.channels.sms_segments import Segments, normalise, segments

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_SENDER = re.compile(r"\+?[0-9]{3,15}|(?=.*[A-Za-z])[A-Za-z0-9 &+_-]{1,11}", re.ASCII)
_LONGEST_EQUAL = 86_400
_IDENTIFIER = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)


class Limits(msgspec.Struct, frozen=True):
    """The longest text that a provider takes: in septets (``gsm``) and in UTF-16 code units (``ucs``)."""

    gsm: int
    ucs: int


class Sms(msgspec.Struct, frozen=True):
    """A text message ready to be sent."""

    number: str
    text: str
    segments: Segments


def equal_within(options: Mapping[str, str]) -> int:
    """Return for how many seconds the networks of a provider refuse an equal text to one number; 0 for never.

    Neither Twilio nor Plivo documents such a limit of its own, so there is none unless the operator knows of one.
    Raises ``ValueError``.
    """
    given = options.get("equal_within", "0")
    if not given.isdecimal() or int(given[:9]) > _LONGEST_EQUAL:
        raise ValueError("the option equal_within is a number of seconds, at most a day")
    return int(given)


def prepared(message: Message, limits: Limits) -> Sms:
    """Return what is sent; raise a permanent ``ProviderError`` for what no attempt can get through."""
    if not _NUMBER.fullmatch(message.address):
        raise _impossible("the address is not a number in E.164 form")
    try:
        mime.checked(message.delivery_id)
    except ValueError as fault:
        raise _impossible(str(fault)) from None
    counted = segments(message.text)
    if not counted.parts:
        raise _impossible("the text is empty")
    limit = limits.gsm if counted.encoding == "GSM-7" else limits.ucs
    if counted.units > limit:
        raise _impossible(
            f"the text is too long: it takes {counted.units} units in {counted.encoding}, the provider's limit is "
            f"{limit}; shorten the template"
        )
    return Sms(message.address, normalise(message.text), counted)


def _impossible(why: str) -> ProviderError:
    return ProviderError(Outcome.PERMANENT, f"the message cannot be sent: {why}")


def sender(options: Mapping[str, str], pool: str, fields: tuple[str, str]) -> tuple[str, str]:
    """Return the field of a request that names the sender, with its value: a number, or a pool of them.

    ``from`` is a number, a short code or up to 11 characters of a name; ``pool`` names the option of a pool's
    identifier. ``fields`` are what the provider calls the two. Raises ``ValueError``.
    """
    if ("from" in options) == (pool in options):
        raise ValueError(f"it needs the option from or the option {pool}, and not both")
    if pool in options:
        if not _IDENTIFIER.fullmatch(options[pool]):
            raise ValueError(f"the option {pool} is not an identifier of letters, digits and dashes")
        return fields[1], options[pool]
    given = options["from"]
    # In a query a bare plus means a space.
    text = f"+{given[1:]}" if given.startswith(" ") else given
    if not _SENDER.fullmatch(text):
        raise ValueError("the option from is a number such as %2B447700900123, a short code or a name of 11 characters")
    return fields[0], text


def form(body: bytes) -> list[tuple[str, str]]:
    """Return the fields of a form in their order; raise ``ValueError`` for a body that is none."""
    return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=200)


def delivery_id(url: str) -> str | None:
    """Return our identifier from the query of an address for receipts."""
    return mime.returned(dict(parse_qsl(urlsplit(url).query, max_num_fields=50)).get("delivery_id"))
