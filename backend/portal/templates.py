"""The template engine of the portal's pages: Jinja2 on ``portal_templates``, with autoescape and no silent gaps."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.template.config import TemplateConfig
from markupsafe import Markup

from backend.channels.base import Channel
from backend.channels.records import RECORDS
from backend.lib import clock, languages, pointers, resources, settings
from backend.lib.problems import FieldError
from backend.lib.release import VERSION
from backend.portal.assets import asset
from backend.reports.model import Fault
from backend.search.hits import Match, Where

_FOLDER = resources.folder("portal_templates")

# A status of a notification, delivery or batch as the API writes it: its word, icon and tone.
STATUSES = {
    "QUEUED": ("Queued", "clock", "grey"),
    "SCHEDULED": ("Scheduled", "clock", "indigo"),
    "DISPATCHED": ("Dispatched", "clock", "grey"),
    "BUFFERED": ("Buffered", "stack", "indigo"),
    "SENDING": ("Sending", "sending", "blue"),
    "RETRYING": ("Retrying", "retry", "amber"),
    "SENT": ("Sent", "tick", "blue"),
    "DELIVERED": ("Delivered", "double-tick", "green"),
    "PARTIAL": ("Partly sent", "half", "amber"),
    "FAILED": ("Failed", "cross", "red"),
    "CANCELLED": ("Cancelled", "slash", "grey"),
    "OPEN": ("Open", "stack", "indigo"),
    "HELD": ("Held back", "pause", "amber"),
    "CLOSED": ("Closed", "clock", "grey"),
}
_FIELDS: Mapping[Where, str] = {
    "subject": "subject",
    "address": "address",
    "recipient": "recipient",
    "field": "field",
    "template_id": "template",
    "aggregator_id": "aggregator",
    "job": "job",
    "notification_id": "notification’s id",
    "delivery_id": "message’s id",
    "provider_message_id": "provider’s message id",
}
_ROLES = {"admin": "Administrator", "editor": "Editor", "viewer": "Viewer"}


def relative(moment: datetime) -> str:
    """Say how long ago or how far ahead a moment is, in short: ``5 min ago``, ``in 3 h``."""
    ago = clock.now() - moment
    if ago < timedelta(seconds=-10):
        return _ahead(-ago, moment)
    if ago < timedelta(seconds=10):
        return "just now"
    if ago < timedelta(minutes=1):
        return f"{int(ago.total_seconds())} s ago"
    if ago < timedelta(hours=1):
        return f"{int(ago.total_seconds() // 60)} min ago"
    if ago < timedelta(days=1):
        return f"{int(ago.total_seconds() // 3600)} h ago"
    return f"{moment.day} {moment:%b %Y}"


def _ahead(span: timedelta, moment: datetime) -> str:
    seconds = int(span.total_seconds())
    if seconds < 60:
        return f"in {seconds} s"
    if seconds < 3600:
        return f"in {seconds // 60} min"
    if seconds < 86400:
        return f"in {seconds // 3600} h"
    return f"{moment.day} {moment:%b %Y}"


def exact(moment: datetime) -> str:
    """Write a moment in full for a reader: ``2 Mar 2026, 09:00:00 UTC``."""
    return f"{moment.day} {moment:%b %Y, %H:%M:%S} UTC"


def channel_word(channel: str) -> str:
    """Return the name of a channel as people say it."""
    return RECORDS[Channel(channel)].word if channel in RECORDS else channel.title()


def channel_icon(channel: str) -> str:
    """Return the name of a channel's icon in ``components/icon.html``."""
    return RECORDS[Channel(channel)].icon if channel in RECORDS else "outbox"


def status_word(status: str) -> str:
    """Return a status as people say it."""
    return STATUSES.get(status, (status.capitalize(), "", ""))[0]


def status_icon(status: str) -> str:
    """Return the name of a status's icon in ``components/icon.html``."""
    return STATUSES.get(status, ("", "info", ""))[1]


def status_tone(status: str) -> str:
    """Return the tone of a status, one of those in ``components/pill.html``."""
    return STATUSES.get(status, ("", "", "grey"))[2]


def role_word(role: str) -> str:
    """Return the name of a role as people say it."""
    return _ROLES[role]


def is_past(moment: datetime) -> bool:
    """Tell whether a moment is over."""
    return moment <= clock.now()


def action_words(action: str) -> str:
    """Say an action of the audit log in words: ``api_client.secret_added`` is ``API client: secret added``."""
    thing, _, verb = action.partition(".")
    named = thing.replace("_", " ").replace("api ", "API ")
    return f"{named[:1].upper()}{named[1:]}: {verb.replace('_', ' ')}" if verb else action


def audit_value(value: object) -> str:
    """Write a value of an audit entry for a reader."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(audit_value, value)) or "none"
        case dict():
            return ", ".join(f"{name} {audit_value(one)}" for name, one in value.items()) or "none"
        case _:
            return str(value)


def match_words(match: Match) -> str:
    """Say where something was found: ``the address``, ``the field sample-id``."""
    return f"the {_FIELDS[match.where]}" + (f" {match.name}" if match.name else "")


def fault_sentence(error: FieldError) -> str:
    """Say one fault of a request in words: what is wrong first, and then where."""
    said = pointers.fault_first(error)
    if said != error.detail or not error.pointer:
        return said
    return f"{said} ({pointers.in_words(error.pointer)})"


def refusal_words(problem: Fault) -> str:
    """Say why a notification was refused."""
    return pointers.refusal(problem.detail, problem.errors)


def bare(text: str) -> Markup:
    """Escape text that stands between tags: quotation marks, of which JSON is full, need it in attributes alone."""
    return Markup(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))  # noqa: S704 - escaped here


class Installation(msgspec.Struct, frozen=True):
    """What every page calls the installation, with the tone of that; an empty name is not shown."""

    name: str
    colour: str


def installation_name() -> Installation:
    """Return what the operators call the installation."""
    current = settings.current()
    return Installation(current.environment_name, current.environment_colour)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = asset
    environment.globals["installation_name"] = installation_name
    environment.globals["version"] = VERSION
    environment.filters.update(
        relative=relative,
        language=languages.name,
        exact=exact,
        iso=clock.iso,
        channel_word=channel_word,
        channel_icon=channel_icon,
        role_word=role_word,
        status_word=status_word,
        status_icon=status_icon,
        status_tone=status_tone,
        is_past=is_past,
        action_words=action_words,
        audit_value=audit_value,
        fault_sentence=fault_sentence,
        refusal_words=refusal_words,
        match_words=match_words,
        bare=bare,
    )
    return environment


template_config = TemplateConfig(instance=JinjaTemplateEngine.from_environment(_environment()))
