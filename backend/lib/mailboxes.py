"""Mailboxes as people write them, ``a@b`` or ``Name <a@b>`` (RFC 5322, section 3.4), read by one set of rules."""

import re

import idna

_FORBIDDEN = re.compile(r"[\r\n\0]")
_CHARACTER = r"[^\x00-\x20\x7f-\xa0\"(),:;<>@\[\]\\\u2028\u2029\ud800-\udfff]"
_ADDR_SPEC = re.compile(rf"{_CHARACTER}{{1,64}}@{_CHARACTER}{{1,255}}")
_COMMENT_BEHIND = re.compile(r"(?P<rest>.*@[^()@]*)\((?P<comment>[^()]*)\)", re.DOTALL)
# What a name may not begin or hold so that it can be written without quotes and be read again.
_SPECIAL = re.compile(r'[()<>\[\]:;@\\,."]')


def addr_spec(address: str) -> str:
    """Return the address if it is one bare ``local@domain`` that cannot be mistaken for anything else.

    Quoted local parts and domain literals are refused. Raises ``ValueError``.
    """
    if not _ADDR_SPEC.fullmatch(address):
        raise ValueError("the address is not one plain local@domain")
    return address


def mailbox(sender: str) -> tuple[str, str]:
    """Return the name, which may be empty, and the bare address of ``a@b``, ``Name <a@b>`` or ``a@b (Name)``.

    A domain beyond ASCII is returned as DNS has it (IDNA, RFC 5891). Raises ``ValueError``.
    """
    if _FORBIDDEN.search(sender):
        raise ValueError("the sender contains a line break or NUL")
    text, comment = sender.strip(" \t"), ""
    if behind := _COMMENT_BEHIND.fullmatch(text):
        text, comment = behind["rest"].strip(), behind["comment"].strip()
    name, opening, rest = text.rpartition("<")
    if not opening:
        return comment, _canonical(text)
    if not rest.endswith(">"):
        raise ValueError("the sender is not of the form Name <address>")
    name = _unquoted(name.strip())
    return (f"{name} ({comment})".strip() if comment else name), _canonical(rest[:-1])


def written(name: str, address: str) -> str:
    """Write a mailbox so that ``mailbox`` reads the same again, with the name as people write it."""
    if not name:
        return address
    if not _SPECIAL.search(name):
        return f"{name} <{address}>"
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{address}>'


def _canonical(address: str) -> str:
    """Return an address without the blanks that RFC 5322 allows around its parts, its domain in ASCII."""
    local, at, domain = (part.strip(" \t") for part in address.rpartition("@"))
    checked = addr_spec(f"{local}{at}{domain}")
    if domain.isascii():
        return checked
    try:
        return addr_spec(f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}")
    except idna.IDNAError:
        raise ValueError("the address has a domain that is not a name in DNS") from None


def _unquoted(name: str) -> str:
    if len(name) >= 2 and name[0] == name[-1] == '"':
        return re.sub(r"\\(.)", r"\1", name[1:-1])
    return name
