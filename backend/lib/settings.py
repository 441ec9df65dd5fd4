"""Settings from the environment, each checked at the start and refused in one sentence that names it.

Each is declared once: its kind, what it is when nobody sets it, and below that what it is for, as the handbook has it.
``settings_catalogue`` lists them.
"""

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from backend.lib import secret_files, setting_sources
from backend.lib import setting_kinds as kinds
from backend.lib.setting_sources import PREFIX, UnusableSource

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class SettingError(Exception):
    """A setting that cannot be used; the text is one sentence that names it."""


def _setting(
    default: str = "",
    *,
    chapter: str = "",
    otherwise: Callable[[dict[str, Any]], str] | None = None,
    **bounds: int,
) -> Any:
    """Declare a setting with its default, written as in the environment.

    Where the default depends on the settings above it, ``otherwise`` works it out, and ``default`` says in words what
    it is. In the handbook a ``chapter`` begins with the setting.
    """
    given: dict[str, Any] = {"default_factory": otherwise} if otherwise else {"default": default}
    return Field(**given | bounds, json_schema_extra={"without": default, "chapter": chapter})


def _base_url(above: dict[str, Any]) -> str:
    host, port = above["host"], above["port"]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _queue_url(above: dict[str, Any]) -> str:
    beside = above["database_url"]
    return f"sqlite:///{above['data_dir'] / 'queue.db'}" if beside.startswith("sqlite") else str(beside)


def _secret_key(above: dict[str, Any]) -> str:
    """Make a key outside production, and keep it in the data directory."""
    if above["env"] == "production":
        raise SettingError("CARILLON_SECRET_KEY must be set in production: it protects every stored secret.")
    return keep_secret(above["data_dir"] / "secret.key", secrets.token_urlsafe(32))


class Settings(BaseSettings):
    """Everything that the environment decides; durations are in seconds. The representation shows no secret."""

    model_config = SettingsConfigDict(frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)

    env: Literal["development", "production", "test"] = _setting("development", chapter="First")
    """`production` insists on a secret key, secure cookies, and migrating as a step of its own; `test` is for tests."""
    host: str = _setting("127.0.0.1")
    """The address that the web process listens on."""
    port: kinds.Number = _setting("8000", ge=0, le=65535)
    """The port that it listens on."""
    base_url: kinds.WebAddress = _setting("http://HOST:PORT", otherwise=_base_url)
    """The address by which clients and browsers know it, such as `https://notify.example.org`."""
    data_dir: kinds.Folder = _setting(".data")
    """Where it keeps its files: the SQLite database, letters, DKIM keys, figures."""
    secret_key: kinds.Key = _setting("made and kept in the data directory, outside production", otherwise=_secret_key)
    """32 random bytes or more. It protects every stored secret and signs the access tokens. The same on every machine.
    Production asks for it.
    """
    old_secret_keys: kinds.Keys = _setting()
    """The keys before it, while they are being changed over: see [secrets](secrets.md#the-secret-key)."""
    database_url: kinds.DatabaseUrl = _setting(
        "SQLite in the data directory", otherwise=lambda above: f"sqlite:///{above['data_dir'] / 'carillon.db'}"
    )
    """`postgresql://user:password@host/name`, several hosts included, as libpq has it."""
    queue_url: kinds.QueueUrl = _setting("beside the database", otherwise=_queue_url)
    """`redis://host/0` for Huey on Redis, or PostgreSQL itself where the database's address leads through a pooler."""
    # Longer than the 60 s for which proxies keep an idle connection, so that it is theirs to close.
    keep_alive_seconds: kinds.Number = _setting("75", ge=1, le=86_400)
    """How long an idle connection is kept open: longer than the proxy in front keeps its own."""
    environment_name: kinds.Name = _setting()
    """What the installation is called on every page and in templates (`environment.name`): `UAT`. There
    `environment.production` is true where this is `production`, or, without a name, where `CARILLON_ENV` is.
    """
    environment_colour: kinds.Colour = _setting(otherwise=lambda above: kinds.colour_of(above["environment_name"]))
    """The colour that goes with the name: `red`, `amber`, `green`, `blue`, `indigo` or `grey`."""

    mail_from: kinds.Sender = _setting("Carillon <carillon@localhost.localdomain>", chapter="Who sends")
    """The sender of e-mails, such as `Laboratory <noreply@example.org>`."""
    sender_domains: kinds.Domains = _setting()
    """More domains that services may send from, with all below them, beside that of `CARILLON_MAIL_FROM`."""
    email_providers: kinds.Addresses = _setting()
    """`smtp://user:password@mail.example.org:587?tls=starttls`; several in order of preference: see
    [channels](../channels.md#providers). Without one, e-mails go to the outbox.
    """
    sms_providers: kinds.Addresses = _setting()
    """Who takes text messages, in the same way."""
    slack_providers: kinds.Addresses = _setting()
    """Who takes Slack messages, in the same way."""
    freshservice_providers: kinds.Addresses = _setting()
    """Who takes tickets, in the same way."""
    dkim: kinds.DkimKeys = _setting()
    """Keys that sign mails given to `smtp://`, as `domain:selector:file`: see [DKIM](../channels.md#dkim)."""
    bounces: kinds.Mailbox = _setting()
    """The mailbox to which bounces come, such as `imaps://user:password@mail.example.org/INBOX`: see
    [receipts](../channels.md#receipts).
    """
    email_enabled: bool = _setting("true")
    """`false` takes no new e-mails: they are answered `503`. What was accepted goes out."""
    sms_enabled: bool = _setting("true")
    """The same for text messages."""
    outbound_allow: kinds.HostPorts = _setting()
    """Hosts inside your network that webhooks may lead to, such as `chat.lab.example:443`."""

    rate_limit: kinds.Rate = _setting("6000/minute", chapter="How much")
    """Requests of one API client."""
    daily_limit: kinds.Number = _setting("1000000", ge=0, le=10**12)
    """Messages of a service in a day (UTC); a service may have its own."""
    max_messages: kinds.Number = _setting("10000", ge=1, le=100_000)
    """How many messages, one for each address of its recipients in each channel, one notification may become (at most
    100,000); more are refused with `too_many_messages`.
    """
    # As much as fits in base64 into a body that is large for files of 10 MiB.
    linked_files_mib: kinds.Number = _setting("11", ge=1, le=44)
    """How much one notification may have behind links (at most 44). Requests may be a third larger than that and 1 MiB,
    or 16 MiB, whichever is more, and a virus scanner has to take as much.
    """

    retry_base_seconds: kinds.Seconds = _setting("30", chapter="How long")
    """The first pause after a temporary failure. It doubles, for at most 10 tries or 24 hours. What is throttled uses
    up no try and has 24 hours; what is set up wrongly waits until it is mended.
    """
    batch_quiet_seconds: kinds.Seconds = _setting("60")
    """A batch is sent when nothing has joined it for so long,"""
    batch_max_wait_seconds: kinds.Seconds = _setting("900")
    """at the latest so long after it was opened,"""
    batch_max_items: kinds.Number = _setting("1000", ge=1, le=1_000_000)
    """or as soon as it holds so many."""
    retention_days: kinds.Number = _setting("30", ge=1, le=36500)
    """How long finished notifications are kept."""
    backup_days: kinds.Number = _setting("2", ge=0, le=366)
    """How old the last `carillon backup` may be before the doctor and an alert tell of it; 0 where something else makes
    the backups.
    """
    repeats_days: kinds.Number = _setting("0", ge=0, le=36500)
    """How long the same content is known as a repeat after that; 0 is for ever."""
    # The longest that GOV.UK Notify keeps a file for.
    link_days: kinds.Number = _setting("546", ge=1, le=3650)
    """The longest that a link to a file may last: 78 weeks, if nothing else is said."""

    # Compared letter by letter later, so it is kept as it was written.
    oidc_issuer: str = _setting(chapter="Who comes in")
    """The OpenID provider through which people sign in. Its redirect address is
    `BASE_URL/portal/sign-in/oidc/callback`.
    """
    oidc_client_id: str = _setting()
    """Our id there."""
    oidc_client_secret: kinds.Secret = _setting()
    """Our secret there."""
    oidc_groups_claim: str = _setting()
    """The claim of the ID token in which the provider names a person's groups. The map from groups to services and
    roles is in the portal, under Platform admin.
    """
    trusted_issuers: kinds.Issuers = _setting()
    """Issuers whose JWT access tokens are taken too: `https://` addresses, or the path of a TOML file: see [tokens of
    other issuers](tokens.md).
    """
    token_algorithm: Literal["EdDSA", "ES256", "RS256"] = _setting("EdDSA")
    """What our own access tokens are signed with: `EdDSA`, `ES256` or `RS256`. Both keys are published while it
    changes.
    """
    alpha_sender_domains: kinds.Domains = _setting("gov.uk")
    """Domains that clients of the GOV.UK Notify alpha may send e-mail from, and whose people they may register."""

    metrics_token: kinds.Token = _setting(chapter="What is looked at")
    """The bearer token with which `/metrics` may be read."""
    metrics_allow: kinds.Networks = _setting()
    """Addresses and networks that may read `/metrics` without it, such as `10.0.0.7,10.1.0.0/16`."""
    scanner: kinds.Scanner = _setting()
    """ClamAV's daemon, `clamd://host:3310`: every attachment goes to it before it is taken. What it finds is refused;
    while it does not answer, notifications with attachments are answered `503`. Its `StreamMaxLength` has to be 10 MiB
    or more.
    """
    link_rules: kinds.Rules = _setting()
    """The path of a TOML file with rules for links in templates: `[[hosts]]` with `host`, `reason` and `allow = true`
    for hosts that are forbidden or allowed, `[unsubscribe]` with `words` and `reason` where e-mails must offer it. What
    breaks one is a warning of preview, publishing and explain.
    """

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        return ((name, getattr(self, name)) for name in ("env", "base_url", "data_dir"))

    def __hash__(self) -> int:
        # What is kept for as long as the settings are the same asks for it at each request.
        return hash((self.base_url, self.secret_key))

    @property
    def is_sqlite(self) -> bool:
        """Tell whether the database is the one-machine one."""
        return self.database_url.startswith("sqlite")

    @property
    def linked_bytes(self) -> int:
        """How much one notification may have behind links."""
        return self.linked_files_mib * 1024 * 1024

    @field_validator("oidc_issuer")
    @classmethod
    def _is_safe(cls, issuer: str) -> str:
        parts = kinds.split(issuer)
        schemes = {"https", "http"} if parts and parts.hostname in LOOPBACK else {"https"}
        good = parts and parts.hostname and not (parts.query or parts.fragment or "@" in parts.netloc)
        if issuer and not (good and parts and parts.scheme in schemes):
            raise ValueError(f"must be an https address without a query, not {issuer[:80]!r}.")
        return issuer

    @model_validator(mode="after")
    def _has_all_of_a_provider(self) -> "Settings":
        names = ("oidc_issuer", "oidc_client_id", "oidc_client_secret")
        missing = [f"{PREFIX}{name.upper()}" for name in names if not getattr(self, name)]
        if 0 < len(missing) < len(names):
            raise SettingError(
                f"{' and '.join(missing)} must be set too: sign-in through OpenID Connect needs all three."
            )
        return self


# The library's own options of making settings, which types do not tell.
_made: Callable[..., Settings] = Settings


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Read all settings.

    Raises:
        SettingError: for the first setting that cannot be used.
    """
    try:
        return _made(_build_sources=((setting_sources.Environment(Settings, environ),), {}))
    except UnusableSource as fault:
        raise SettingError(str(fault)) from fault
    except ValidationError as fault:
        # What the library says, and may show of a secret, goes no further.
        raise SettingError(_sentence(fault.errors(include_url=False)[0])) from None


def _sentence(fault: ErrorDetails) -> str:
    """Say in our words what is wrong with a setting."""
    name = str(fault["loc"][0])
    field, more = Settings.model_fields[name], fault.get("ctx", {})
    if field.annotation is bool:
        wanted = "true or false"
    elif field.annotation is float:
        wanted = "a number of seconds such as 30 or 0.5"
    elif field.annotation is int:
        wanted = f"a whole number from {_bound(field, 'ge')} to {_bound(field, 'le')}"
    elif fault["type"] == "literal_error":
        wanted = more["expected"].replace("'", "")
    else:
        return f"{PREFIX}{name.upper()} {more['error']}"
    return f"{PREFIX}{name.upper()} must be {wanted}, not {str(fault['input'])[:80]!r}."


def _bound(field: FieldInfo, which: str) -> str:
    return next(str(getattr(mark, which)) for mark in field.metadata if hasattr(mark, which))


def keep_secret(path: Path, value: str) -> str:
    """Return a secret as ``secret_files.keep`` does; raises SettingError where it cannot."""
    try:
        return secret_files.keep(path, value)
    except OSError as error:
        raise SettingError(f"{PREFIX}DATA_DIR cannot be used: {path} {error.strerror}.") from error


@lru_cache(maxsize=1)
def current() -> Settings:
    """Return the settings of this process, read once."""
    return from_environment(os.environ)
