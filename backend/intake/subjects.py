"""The subject that a person writes for messages made from a template: one line that goes out as it is."""

import re

from backend.channels.base import Channel
from backend.channels.records import NEED_SUBJECT
from backend.lib.problems import Problem

LONGEST = 500
_TAG = re.compile(r"\{\{|\{%|\{#")


def checked(text: str, channel: Channel, of_template: str | None) -> str | None:
    """Return the subject that was written, None for none; ``of_template`` is the one of the template.

    A request's subject is never rendered, so one with tags would reach its readers as it stands here.

    Raises:
        Problem: ``invalid_value`` if it is none, or ``missing_subject``.
    """
    subject = text.strip()
    if len(subject) > LONGEST or not subject.isprintable():
        raise Problem("invalid_value", f"A subject is one line of at most {LONGEST} characters.")
    if tag := _TAG.search(subject):
        detail = (
            f"A subject that is written here goes out as it is, “{tag[0]}” and all. Leave it empty and write the"
            " variables into the template’s own subject."
        )
        raise Problem("invalid_value", detail)
    if channel in NEED_SUBJECT and not subject and not of_template:
        raise Problem("missing_subject", "The template has no subject of its own, so give one here.")
    return subject or None
