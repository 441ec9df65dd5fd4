"""Whether readers get to what a message links to, and see its images: told without asking any host."""

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec

from backend.lib import settings
from backend.lib.link_rules import LinkRules
from backend.rendering.links import FIELD, STATEMENT, Link, links
from backend.rendering.model import Source, TemplateWarning

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
# A field of such a name holds a whole address.
_ADDRESS_NAME = re.compile(r"url|link|uri|href|address|endpoint", re.IGNORECASE)
_SHOWN_HOST = re.compile(r"(?:https?://)?((?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24})(?:[/:?#]\S*)?", re.IGNORECASE)
# RFC 6761, RFC 6762, RFC 8375 and the names that IANA keeps from ever being public.
_PRIVATE_ENDINGS = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "home.arpa", "test", "invalid")
_INLINE_BYTES = 100 * 1024
_MOST = 50


class Policy(msgspec.Struct, frozen=True):
    """What is checked: with ``production``, links that only work inside or are not encrypted are warned of."""

    production: bool
    rules: LinkRules


def policy() -> Policy:
    """Return what the installation's settings say."""
    found = settings.current()
    return Policy(found.env == "production", found.link_rules)


def unreachable(source: Source, fields: object | None, said: Policy) -> list[TemplateWarning]:
    """Return a warning for each link and image that readers would not get to; ``fields`` are an example, or None."""
    warnings: list[TemplateWarning] = []
    for link in links(source):
        known = _resolved(link, fields)
        for code, detail in _checked(known, said) if known is not None else _unknown(link):
            warnings.append(TemplateWarning(link.line, code, detail))
        if len(warnings) >= _MOST:
            return warnings
    return [*warnings, *_without_unsubscribing(source, said.rules)]


def of_address(address: str, said: Policy) -> list[tuple[str, str]]:
    """Return what is wrong with the address of one link, as pairs of a code and a sentence."""
    return list(_checked(Link(kind="link", line=1, address=address), said))


def _resolved(link: Link, fields: object | None) -> Link | None:
    """Put in the field that an address begins with; None where what it holds is not known."""
    if STATEMENT in link.address:
        return link if _SCHEME.match(link.address) else None
    if link.expression is None:
        return link
    name = link.expression.partition("|")[0].strip()
    if not _NAME.fullmatch(name) or not isinstance(fields, dict):
        return None
    value: object = {**fields, "fields": fields}
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return msgspec.structs.replace(link, address=value + link.address[1:]) if isinstance(value, str) and value else None


def _unknown(link: Link) -> Iterator[tuple[str, str]]:
    """Warn of a field in whose place a scheme must stand, unless its name says that it is a whole address."""
    name = (link.expression or "").partition("|")[0].strip()
    if not link.expression or STATEMENT in link.address or _ADDRESS_NAME.search(name) or not _NAME.fullmatch(name):
        return
    if name.startswith("brand."):
        return  # whole addresses, where there are any
    begins = f"This begins with the field '{name}': write https:// before it"
    yield "link_without_scheme", f"{begins}, or it leads nowhere unless the field has that."


def _checked(link: Link, said: Policy) -> Iterator[tuple[str, str]]:
    address = link.address
    if link.kind == "image":
        yield from _image(address)
    scheme = _SCHEME.match(address)
    if scheme is None:
        if link.kind == "link" and not address.startswith("#"):
            shown = address.replace(FIELD, "…")[:80]
            what = f"'{shown}' has no https:// before it" if address else "This link has no address"
            yield "link_without_scheme", f"{what}, so it leads nowhere from a message."
        return
    if scheme[0].lower() not in {"http:", "https:"}:
        return
    host = _host(address)
    if host is not None:
        yield from _of_host(host, scheme[0].lower() == "http:", said)
        yield from _pretending(link, host)


def _image(address: str) -> Iterator[tuple[str, str]]:
    scheme = _SCHEME.match(address)
    if not address:
        yield "missing_image", "The image has no address, so readers see an empty frame."
    elif scheme is None and FIELD not in address[:1]:
        detail = f"'{address.replace(FIELD, '…')[:80]}' is no whole address, so no mail program finds the image."
        yield "missing_image", detail
    elif scheme is not None and scheme[0].lower() == "file:":
        yield "missing_image", "This image is a file on one computer, so nobody else sees it."
    elif scheme is not None and scheme[0].lower() == "data:":
        large = f" It makes every message {len(address) // 1024} KB larger." if len(address) > _INLINE_BYTES else ""
        yield "inline_image", f"Gmail and Outlook show no image that is written into the page.{large}"


def _host(address: str) -> str | None:
    """Return the host of an address in small letters; None where a field is in it, or it is none."""
    try:
        host = (urlsplit(address).hostname or "").rstrip(".")
    except ValueError:
        return None
    return None if not host or FIELD in host or STATEMENT in host else host


def _of_host(host: str, plain: bool, said: Policy) -> Iterator[tuple[str, str]]:
    rule = said.rules.of(host)
    if rule is not None:
        if not rule.allow:
            yield "forbidden_host", f"{host} is not to be linked to here: {rule.reason.rstrip('.')}."
        return
    if not said.production:
        return
    if _is_private(host):
        yield "private_host", f"{host} is not reached from outside, so most readers get nowhere."
    elif plain:
        yield "plain_http", f"The link to {host} is not encrypted: write https:// instead of http://."


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(tuple(f".{one}" for one in _PRIVATE_ENDINGS))


def _pretending(link: Link, host: str) -> Iterator[tuple[str, str]]:
    """Warn of a link that shows the address of another host: mail filters take it for a trick, and readers too."""
    shown = _SHOWN_HOST.fullmatch(link.said)
    said = shown[1].lower() if shown else host
    if said.removeprefix("www.") != host.removeprefix("www."):
        yield "misleading_link", f"The link says {said} and leads to {host}: mail filters take that for a trick."


def _without_unsubscribing(source: Source, rules: LinkRules) -> Iterator[TemplateWarning]:
    rule = rules.unsubscribe
    if rule is None or source.fragment or source.format == "text":
        return
    texts = " ".join((source.source, *(one.source for one in source.partials))).lower()
    if not any(word.lower() in texts for word in rule.words):
        detail = f"Nothing here lets readers unsubscribe, which is wanted: {rule.reason.rstrip('.')}."
        yield TemplateWarning(None, "no_unsubscribe", detail)
