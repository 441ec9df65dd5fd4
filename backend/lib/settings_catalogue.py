"""The list of settings: what each is here and now, secrets masked, and the handbook's page of what they are for."""

import difflib
import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from pydantic.fields import FieldInfo

from backend.lib.setting_kinds import Shown
from backend.lib.setting_sources import FILE, PREFIX, UnusableSource, given, shown
from backend.lib.settings import Settings

# What is read from the environment by commands that are clients of an installation, and by nothing else.
_OF_CLIENTS = ("CLIENT_ID", "CLIENT_SECRET", "URL")
_ALIKE = 0.75  # of a name that is meant for another one
_HEAD = """\
# Settings

Settings are environment variables; all may be left out, but for those that production asks for. This page is written by
`carillon settings --markdown`. `carillon settings` lists each with its value here and now, secrets masked, and where
that is from (`--json` for programs). A setting that cannot be used stops the start with one sentence that names it; a
variable that is misspelt is told of with the name that is meant.

Lists are written with commas. Addresses of databases and providers hold their credentials, percent-encoded.
"""

FIELDS: Mapping[str, FieldInfo] = {name.upper(): field for name, field in Settings.model_fields.items()}
SECRETS = tuple(name for name, field in FIELDS.items() if shown(field))
_KNOWN = {*FIELDS, *(f"{name}{FILE}" for name in (*SECRETS, "CLIENT_SECRET"))}


class Value(msgspec.Struct, frozen=True):
    """A setting as it is, its value masked; ``source`` is ``environment``, ``file``, ``credential`` or ``default``."""

    name: str
    value: str
    source: str
    default: str


class Unknown(msgspec.Struct, frozen=True):
    """A variable that nothing reads, and the one that may be meant."""

    name: str
    meant: str | None

    def sentence(self) -> str:
        """Say what is wrong, and what to do."""
        hint = f": {self.meant} is meant, it seems" if self.meant else ""
        return f"{self.name} is no setting, and nothing reads it{hint}."


def unknown(environ: Mapping[str, str]) -> list[Unknown]:
    """List the variables that look like settings and are none."""
    found = sorted(name.removeprefix(PREFIX) for name in environ if name.startswith(PREFIX))
    return [Unknown(f"{PREFIX}{name}", _meant(name)) for name in found if name not in {*_KNOWN, *_OF_CLIENTS}]


def _meant(name: str) -> str | None:
    found = difflib.get_close_matches(name.upper(), sorted(_KNOWN), n=1, cutoff=_ALIKE)
    return f"{PREFIX}{found[0]}" if found else None


def listed(environ: Mapping[str, str]) -> list[Value]:
    """List every setting as it is, secrets masked; of one that cannot be had, why."""
    return [_value(environ, name, field) for name, field in FIELDS.items()]


def _value(environ: Mapping[str, str], name: str, field: FieldInfo) -> Value:
    default = without(field)
    try:
        found = given(environ, name, is_secret=name in SECRETS)
    except UnusableSource as fault:
        return Value(f"{PREFIX}{name}", f"unusable: {fault}", "file", default)
    return Value(f"{PREFIX}{name}", _masked(shown(field), found.text) or default, found.kind, default)


def without(field: FieldInfo) -> str:
    """Return what a setting is when nobody sets it, in words where it is worked out; empty for nothing."""
    return str(_more(field)["without"])


def _more(field: FieldInfo) -> dict[str, Any]:
    return cast("dict[str, Any]", field.json_schema_extra)


def _masked(shown: Shown | None, text: str) -> str:
    """Return of a value what may be shown."""
    if shown is None or not text:
        return text
    if shown is Shown.NEVER:
        return "set"
    return ",".join(_without_secrets(one.strip()) for one in text.split(","))


def _without_secrets(address: str) -> str:
    """Leave of an address its scheme, host and port: before the last @ stand secrets, and options may be some."""
    scheme, slashes, rest = address.partition("://")
    if not slashes:
        return "set"
    host_port = re.split(r"[/?#]", rest.rpartition("@")[2], maxsplit=1)[0]
    hidden = "…@" if "@" in rest else ""
    return f"{scheme}://{hidden}{host_port}{'/…' if host_port != rest.rpartition('@')[2] else ''}"


def markdown() -> str:
    """Write the handbook's page of all settings."""
    page = _HEAD
    for name, field in FIELDS.items():
        if chapter := _more(field)["chapter"]:
            page += f"\n## {chapter}\n\n| setting | without it | meaning |\n| --- | --- | --- |\n"
        meaning = " ".join((field.description or "").split())
        page += f"| `{PREFIX}{name}` | {_default(without(field))} | {meaning} |\n"
    return page


def _default(text: str) -> str:
    """Write a value as code, and what is said of one as words."""
    if not text:
        return "nothing"
    return text if " in the " in text or text.startswith("beside") else f"`{text}`"
