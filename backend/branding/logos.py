"""The logo in a message: carried by an e-mail beside its HTML, written into a page, and named where neither works.

A picture that goes along (RFC 2387) is shown by Gmail, Outlook and Apple Mail without asking the reader, who would have
to allow one that is fetched; it is there without a network, in archives, and where nobody outside reaches this
installation; and nobody learns from it who has read the message.
"""

import re
from base64 import b64encode
from functools import lru_cache
from html import escape, unescape

from backend.channels.attachments import Attachment
from backend.channels.base import Channel
from backend.db import database as db
from backend.db.database import Database
from backend.db.models.brands import BrandLogo

_BEGINNING = "cid:brand-"
_SHOWN = re.compile(r"cid:(brand-([0-9a-f]{32})\.(?:png|jpg))")
_IMAGE = re.compile(r"<img\b[^<>]*\bcid:brand-[0-9a-f]{32}\.(?:png|jpg)[^<>]*>", re.IGNORECASE)
_ALT = re.compile(r"""\salt\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)


def carried(html: str | None) -> tuple[Attachment, ...]:
    """Return the logos that the HTML of an e-mail shows."""
    if html is None or _BEGINNING not in html:
        return ()
    names = dict.fromkeys((found[1], found[2]) for found in _SHOWN.finditer(html))
    found = ((name, picture(digest)) for name, digest in names)
    return tuple(
        Attachment(name=name, type=one.type, content=one.content, inline=True) for name, one in found if one is not None
    )


def fitted(channel: str, html: str | None) -> str | None:
    """Return the HTML as a channel can show it: letters have the logo in them, tickets and others have its words."""
    if html is None or channel == Channel.EMAIL or _BEGINNING not in html:
        return html
    return embedded(html) if channel == Channel.LETTER else _IMAGE.sub(_words, html)


def embedded(html: str) -> str:
    """Write the logos into the HTML, where a page shows it without the rest of the mail."""
    return _SHOWN.sub(_address, html) if _BEGINNING in html else html


def picture(digest: str) -> BrandLogo | None:
    """Return a picture; None where it is not kept any more."""
    try:
        return _kept(db.current(), digest)
    except KeyError:  # may come yet
        return None


@lru_cache(maxsize=64)
def _kept(database: Database, digest: str) -> BrandLogo:
    with database.read_beside() as session:
        found = session.get(BrandLogo, digest)
        if found is None:
            raise KeyError(digest)
        session.expunge(found)
        return found


def _address(found: re.Match[str]) -> str:
    one = picture(found[2])
    return f"data:{one.type};base64,{b64encode(one.content).decode('ascii')}" if one is not None else found[0]


def _words(found: re.Match[str]) -> str:
    alt = _ALT.search(found[0])
    return escape(unescape(alt[1] or alt[2] or "")) if alt else ""
