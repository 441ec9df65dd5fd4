"""The template engine of the portal's pages: Jinja2 on ``portal_templates``, with autoescape and no silent gaps."""

from datetime import datetime, timedelta
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.template.config import TemplateConfig

from backend.lib import clock, places
from backend.lib.problems import FieldError
from backend.portal.assets import asset

_FOLDER = Path(__file__).resolve().parents[2] / "portal_templates"

# The channel's word and the icon beside it: never colour alone.
_CHANNELS = {
    "EMAIL": ("Email", "envelope"),
    "SMS": ("Text message", "phone"),
    "SLACK": ("Slack", "hash"),
    "MSTEAMS": ("Teams", "people"),
    "FRESHSERVICE": ("Freshservice", "ticket"),
    "LETTER": ("Letter", "letter"),
    "APPRISE": ("Other services", "plug"),
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
    return _CHANNELS.get(channel, (channel.title(), ""))[0]


def channel_icon(channel: str) -> str:
    """Return the name of a channel's icon in ``components/icon.html``."""
    return _CHANNELS.get(channel, ("", "outbox"))[1]


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


def fault_sentence(error: FieldError) -> str:
    """Say one fault of a request together with its place, in words."""
    said = places.sentence(error)
    return f"{said[:1].upper()}{said[1:]}."


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = asset
    environment.filters.update(
        relative=relative,
        exact=exact,
        iso=clock.iso,
        channel_word=channel_word,
        channel_icon=channel_icon,
        role_word=role_word,
        is_past=is_past,
        action_words=action_words,
        audit_value=audit_value,
        fault_sentence=fault_sentence,
    )
    return environment


template_config = TemplateConfig(instance=JinjaTemplateEngine.from_environment(_environment()))
