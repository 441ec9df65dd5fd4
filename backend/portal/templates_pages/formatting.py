"""The editor's source put into order, and what is said of it."""

import msgspec

from backend.portal.templates_pages import texts
from backend.rendering.formatting.document import FORMATTED, formatted


class Made(msgspec.Struct, frozen=True):
    """A source after formatting; where it is not ``done`` it is as it was, and ``said`` tells why."""

    source: str
    done: bool
    said: str


def of(form: str, source: str) -> Made:
    """Format a source as the editor's form sends it."""
    given = texts.unified(source)
    if form not in FORMATTED:
        return Made(given, False, "Only MJML and HTML can be formatted: in Text and Markdown every space counts.")
    made = formatted(form, given)
    if made is None:
        return Made(given, False, "It cannot be formatted as it is: put right what is told below the source first.")
    said = "The source is formatted; the message stays the same." if made != given else "It was in order already."
    return Made(made, True, said)
