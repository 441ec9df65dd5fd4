"""Every setting by its name: what it is when nobody sets it, and how its value may be shown."""

import difflib
import re
from collections.abc import Mapping
from enum import StrEnum

import msgspec

PREFIX = "CARILLON_"
# Behind the name of a secret: the variable that names the file in which it is.
FILE = "_FILE"
# What is read from the environment by commands that are clients of an installation, and by nothing else.
_OF_CLIENTS = ("CLIENT_ID", "CLIENT_SECRET", "URL")
_ALIKE = 0.75  # of a name that is meant for another one


class Shown(StrEnum):
    """How much of a value may be shown."""

    WHOLE = "whole"
    ADDRESS = "address"  # without what stands before an @, and behind a ?
    NEVER = "never"


class Setting(msgspec.Struct, frozen=True):
    """A setting by its name without the prefix; ``default`` is empty where nothing is set."""

    name: str
    default: str = ""
    shown: Shown = Shown.WHOLE


SETTINGS = (
    Setting("ENV", "development"),
    Setting("HOST", "127.0.0.1"),
    Setting("PORT", "8000"),
    Setting("BASE_URL", "http://HOST:PORT"),
    Setting("SECRET_KEY", "made and kept in the data directory, outside production", Shown.NEVER),
    Setting("OLD_SECRET_KEYS", shown=Shown.NEVER),
    Setting("DATA_DIR", ".data"),
    Setting("DATABASE_URL", "SQLite in the data directory", Shown.ADDRESS),
    Setting("QUEUE_URL", "beside the database", Shown.ADDRESS),
    Setting("EMAIL_PROVIDERS", shown=Shown.ADDRESS),
    Setting("SMS_PROVIDERS", shown=Shown.ADDRESS),
    Setting("SLACK_PROVIDERS", shown=Shown.ADDRESS),
    Setting("FRESHSERVICE_PROVIDERS", shown=Shown.ADDRESS),
    Setting("MAIL_FROM", "Carillon <carillon@localhost.localdomain>"),
    Setting("SENDER_DOMAINS"),
    Setting("DKIM"),
    Setting("BOUNCES", shown=Shown.ADDRESS),
    Setting("RATE_LIMIT", "6000/minute"),
    Setting("DAILY_LIMIT", "1000000"),
    Setting("MAX_MESSAGES", "10000"),
    Setting("BATCH_QUIET_SECONDS", "60"),
    Setting("BATCH_MAX_WAIT_SECONDS", "900"),
    Setting("BATCH_MAX_ITEMS", "1000"),
    Setting("RETRY_BASE_SECONDS", "30"),
    Setting("RETENTION_DAYS", "30"),
    Setting("BACKUP_DAYS", "2"),
    Setting("LINK_DAYS", "546"),
    Setting("LINK_RULES"),
    Setting("ENVIRONMENT_NAME"),
    Setting("ENVIRONMENT_COLOUR"),
    Setting("LINKED_FILES_MIB", "11"),
    Setting("REPEATS_DAYS", "0"),
    Setting("OIDC_ISSUER"),
    Setting("OIDC_CLIENT_ID"),
    Setting("OIDC_CLIENT_SECRET", shown=Shown.NEVER),
    Setting("OIDC_GROUPS_CLAIM"),
    Setting("TRUSTED_ISSUERS"),
    Setting("TOKEN_ALGORITHM", "EdDSA"),
    Setting("EMAIL_ENABLED", "true"),
    Setting("SMS_ENABLED", "true"),
    Setting("OUTBOUND_ALLOW"),
    Setting("ALPHA_SENDER_DOMAINS", "gov.uk"),
    Setting("METRICS_TOKEN", shown=Shown.NEVER),
    Setting("METRICS_ALLOW"),
    Setting("KEEP_ALIVE_SECONDS", "75"),
    Setting("SCANNER"),
)
# What holds a secret, and so may be in a file.
SECRETS = tuple(setting.name for setting in SETTINGS if setting.shown is not Shown.WHOLE)
_KNOWN = {setting.name for setting in SETTINGS} | {f"{name}{FILE}" for name in (*SECRETS, "CLIENT_SECRET")}


class Unknown(msgspec.Struct, frozen=True):
    """A variable that nothing reads, and the one that may be meant."""

    name: str
    meant: str | None

    def sentence(self) -> str:
        """Say what is wrong, and what to do."""
        hint = f": {self.meant} is meant, it seems" if self.meant else ""
        return f"{self.name} is no setting, and nothing reads it{hint}."


def from_file(name: str) -> bool:
    """Tell whether a setting may be in a file."""
    return f"{name}{FILE}" in _KNOWN


def unknown(environ: Mapping[str, str]) -> list[Unknown]:
    """List the variables that look like settings and are none."""
    given = sorted(name.removeprefix(PREFIX) for name in environ if name.startswith(PREFIX))
    return [Unknown(f"{PREFIX}{name}", _meant(name)) for name in given if name not in {*_KNOWN, *_OF_CLIENTS}]


def _meant(name: str) -> str | None:
    found = difflib.get_close_matches(name.upper(), sorted(_KNOWN), n=1, cutoff=_ALIKE)
    return f"{PREFIX}{found[0]}" if found else None


def masked(setting: Setting, given: str) -> str:
    """Return of a value what may be shown."""
    return _masked(setting.shown, given) if given else setting.default


def _masked(shown: Shown, given: str) -> str:
    if shown is Shown.NEVER:
        return "set"
    if shown is Shown.WHOLE:
        return given
    return ",".join(_without_secrets(one.strip()) for one in given.split(","))


def _without_secrets(address: str) -> str:
    """Leave of an address its scheme, host and port: before the last @ stand secrets, and options may be some."""
    scheme, slashes, rest = address.partition("://")
    if not slashes:
        return "set"
    host_port = re.split(r"[/?#]", rest.rpartition("@")[2], maxsplit=1)[0]
    hidden = "…@" if "@" in rest else ""
    return f"{scheme}://{hidden}{host_port}{'/…' if host_port != rest.rpartition('@')[2] else ''}"
