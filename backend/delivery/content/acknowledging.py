"""The link by which a message is acknowledged: where its template puts it, and else at its end."""

import re
from html import escape
from typing import Any

import msgspec

from backend.channels.records import WITH_LINKS
from backend.rendering.model import Rendered

# By this name a template sees the address: ``{{ acknowledge_url }}``.
FIELD = "acknowledge_url"
_END = re.compile(r"</body\s*>", re.IGNORECASE)
_WORDS = {"acknowledged": "Acknowledge this message", "read": "I have read this message"}


class Goal(msgspec.Struct, frozen=True):
    """What a notification's content says of its obligation, or of the one that it is a step of."""

    until: str


class Owed(msgspec.Struct, frozen=True):
    """Where a notification's content says so."""

    obligation: Goal | None = None
    step: Goal | None = None

    @property
    def until(self) -> str | None:
        """Return the goal; none for what owes nothing."""
        found = self.obligation or self.step
        return found.until if found else None


def seen(fields: Any, address: str) -> Any:
    """Return the fields as a template sees them where there is an obligation; a field of that name stays as it is."""
    if not isinstance(fields, dict) or FIELD in fields:
        return fields
    return {FIELD: address, **fields}


def words(channel: str, until: str | None) -> str | None:
    """Return the words of the link in a message of a channel; none where nobody is to acknowledge it by one."""
    return _WORDS.get(until or "") if channel in WITH_LINKS else None


def offered(rendered: Rendered, channel: str, until: str, address: str) -> Rendered:
    """Return a message of mail or chat that offers the link, if it is one that a person acknowledges."""
    said = words(channel, until)
    if said is None:
        return rendered
    return msgspec.structs.replace(
        rendered,
        html=_in_html(rendered.html, said, address) if rendered.html is not None else None,
        fragment=_in_html(rendered.fragment, said, address) if rendered.fragment else rendered.fragment,
        text=rendered.text if address in rendered.text else f"{rendered.text.rstrip()}\n\n{said}:\n{address}\n",
    )


def _in_html(html: str, words: str, address: str) -> str:
    if address in html:
        return html
    link = f'<p style="margin:16px;font-family:sans-serif;font-size:16px"><a href="{escape(address)}">{words}</a></p>'
    ends = list(_END.finditer(html))
    at = ends[-1].start() if ends else len(html)
    return f"{html[:at]}{link}{html[at:]}"
