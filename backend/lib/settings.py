"""Settings from the environment, each checked at the start and refused in one sentence that names it."""

import os
import re
import secrets
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import SplitResult, urlsplit

import msgspec

from backend.lib import (
    alpha_environment,
    clamd,
    dkim_keys,
    environment_names,
    imap_folder,
    issuer_settings,
    link_rules,
    postgresql,
    secret_files,
    setting_sources,
)
from backend.lib.clamd import UnusableScanner
from backend.lib.dkim_keys import DkimKey, UnusableKey
from backend.lib.environment_names import UnusableName
from backend.lib.imap_folder import Mailbox, UnusableMailbox
from backend.lib.issuer_settings import TrustedIssuer, UnusableIssuers
from backend.lib.link_rules import LinkRules, UnusableRules
from backend.lib.mailboxes import mailbox
from backend.lib.setting_sources import UnusableSource

Environment = Literal["development", "production", "test"]
Answer = TypeVar("Answer")
TokenAlgorithm = Literal["EdDSA", "ES256", "RS256"]
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_POSTGRESQL = {"postgresql", "postgres", "postgresql+psycopg"}
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z][A-Za-z0-9-]{0,62}")


class SettingError(Exception):
    """A setting that cannot be used; the text is one sentence that names it."""


class RateLimit(msgspec.Struct, frozen=True):
    """``requests`` allowed in each window of ``seconds``."""

    requests: int
    seconds: int


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the environment decides; durations are in seconds.

    ``secret_key``, ``old_secret_keys`` and the provider addresses hold secrets: the representation leaves them out.
    """

    env: Environment
    environment_name: str
    environment_colour: str
    host: str
    port: int
    base_url: str
    secret_key: str
    old_secret_keys: tuple[str, ...]
    data_dir: Path
    database_url: str
    queue_url: str
    email_providers: tuple[str, ...]
    sms_providers: tuple[str, ...]
    slack_providers: tuple[str, ...]
    freshservice_providers: tuple[str, ...]
    mail_from: str
    sender_domains: tuple[str, ...]
    dkim: tuple[DkimKey, ...]
    bounces: Mailbox | None
    rate_limit: RateLimit
    daily_limit: int
    max_messages: int
    batch_quiet_seconds: float
    batch_max_wait_seconds: float
    batch_max_items: int
    retry_base_seconds: float
    retention_days: int
    backup_days: int
    link_days: int
    linked_bytes: int
    repeats_days: int
    oidc_issuer: str
    oidc_client_id: str
    oidc_client_secret: str
    oidc_groups_claim: str
    trusted_issuers: tuple[TrustedIssuer, ...]
    token_algorithm: TokenAlgorithm
    email_enabled: bool
    sms_enabled: bool
    outbound_allow: tuple[str, ...]
    alpha_sender_domains: tuple[str, ...]
    metrics_token: str
    metrics_allow: tuple[IPv4Network | IPv6Network, ...]
    keep_alive_seconds: int
    scanner: tuple[str, int] | None
    link_rules: LinkRules

    def __repr__(self) -> str:
        return f"Settings(env={self.env!r}, base_url={self.base_url!r}, data_dir={str(self.data_dir)!r})"

    @property
    def is_sqlite(self) -> bool:
        """Tell whether the database is the one-machine one."""
        return self.database_url.startswith("sqlite")


class _Reader:
    """Reads one setting at a time and says what is wrong with it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def text(self, name: str, default: str = "") -> str:
        try:
            return setting_sources.given(self.environ, name).text or default
        except UnusableSource as fault:
            raise SettingError(str(fault)) from fault

    def many(self, name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.text(name).split(",") if part.strip())

    def number(self, name: str, default: int, minimum: int, maximum: int) -> int:
        raw = self.text(name, str(default))
        if not re.fullmatch(r"\d{1,18}", raw) or not minimum <= int(raw) <= maximum:
            raise SettingError(f"CARILLON_{name} must be a whole number from {minimum} to {maximum}, not {raw!r}.")
        return int(raw)

    def seconds(self, name: str, default: float) -> float:
        raw = self.text(name, str(default))
        if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", raw):
            raise SettingError(f"CARILLON_{name} must be a number of seconds such as 30 or 0.5, not {raw!r}.")
        return float(raw)

    def switch(self, name: str, *, default: bool) -> bool:
        raw = self.text(name, "true" if default else "false").lower()
        if raw not in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
            raise SettingError(f"CARILLON_{name} must be true or false, not {raw!r}.")
        return raw in {"1", "true", "yes", "on"}

    def rate(self, name: str, default: str) -> RateLimit:
        raw = self.text(name, default)
        match = re.fullmatch(r"([1-9]\d{0,8})/(second|minute|hour|day)", raw)
        if not match:
            raise SettingError(f"CARILLON_{name} must look like 600/minute (second, minute, hour, day), not {raw!r}.")
        return RateLimit(int(match[1]), PERIODS[match[2]])

    def domains(self, name: str, *default: str) -> tuple[str, ...]:
        given = self.many(name) or default
        for domain in given:
            if not _DOMAIN.fullmatch(domain):
                raise SettingError(
                    f"CARILLON_{name} must be domains such as gov.uk with commas between them, not {domain[:80]!r}."
                )
        return tuple(domain.lower() for domain in given)

    def environment(self) -> Environment:
        match self.text("ENV", "development"):
            case "development":
                return "development"
            case "production":
                return "production"
            case "test":
                return "test"
            case other:
                raise SettingError(f"CARILLON_ENV must be development, production or test, not {other!r}.")

    def installation(self) -> tuple[str, str]:
        try:
            return environment_names.read(self.text("ENVIRONMENT_NAME"), self.text("ENVIRONMENT_COLOUR"))
        except UnusableName as fault:
            raise SettingError(f"CARILLON_ENVIRONMENT_{fault}") from fault

    def token_algorithm(self) -> TokenAlgorithm:
        match self.text("TOKEN_ALGORITHM", "EdDSA"):
            case "EdDSA":
                return "EdDSA"
            case "ES256":
                return "ES256"
            case "RS256":
                return "RS256"
            case other:
                raise SettingError(f"CARILLON_TOKEN_ALGORITHM must be EdDSA, ES256 or RS256, not {other[:80]!r}.")

    def parsed(self, name: str, read: Callable[[str], Answer]) -> Answer:
        try:
            return read(self.text(name))
        except (UnusableIssuers, UnusableMailbox, UnusableRules, UnusableScanner) as fault:
            raise SettingError(f"CARILLON_{name} {fault}") from fault

    def dkim_keys(self, name: str) -> tuple[DkimKey, ...]:
        try:
            return dkim_keys.read(self.many(name))
        except UnusableKey as fault:
            raise SettingError(f"CARILLON_{name} {fault}") from fault

    def web_address(self, name: str, default: str) -> str:
        raw = self.text(name, default).rstrip("/")
        parts = _split(raw)
        usable = parts is not None and parts.scheme in {"http", "https"} and parts.hostname
        if parts is None or not usable or parts.query or parts.fragment:
            raise SettingError(f"CARILLON_{name} must be an http or https address without a query, not {raw!r}.")
        return raw

    def token(self, name: str) -> str:
        given = self.text(name)
        if given and not re.fullmatch(r"[A-Za-z0-9._~+/=-]{16,256}", given):
            raise SettingError(f"CARILLON_{name} must be 16 to 256 letters, digits or -._~+/= if it is set.")
        return given

    def networks(self, name: str) -> tuple[IPv4Network | IPv6Network, ...]:
        try:
            return tuple(ip_network(one) for one in self.many(name))
        except ValueError as error:
            raise SettingError(
                f"CARILLON_{name} must be addresses or networks such as 10.0.0.7 or 10.1.0.0/16, with commas between."
            ) from error

    def sender(self, name: str, default: str) -> str:
        raw = self.text(name, default)
        try:
            mailbox(raw)
        except ValueError as error:
            wanted = "must look like Carillon <carillon@lab.example>"
            raise SettingError(f"CARILLON_{name} {wanted}, not {raw!r}: {error}.") from None
        return raw

    def host_ports(self, name: str) -> tuple[str, ...]:
        given = self.many(name)
        for one in given:
            parts = _split(f"//{one}")
            if parts is None or not parts.hostname or parts.port is None or parts.netloc != one:
                raise SettingError(f"CARILLON_{name} must list places such as mail.lab.example:25, not {one!r}.")
        return given


def _split(address: str) -> SplitResult | None:
    """Take an address apart; None for one whose host or port is impossible."""
    try:
        parts = urlsplit(address)
        _ = parts.port  # read here, for it is checked when it is read
    except ValueError:
        return None
    return parts


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Read all settings.

    Raises:
        SettingError: for the first setting that cannot be used.
    """
    read = _Reader(environ)
    env, (name, colour) = read.environment(), read.installation()
    host, port = read.text("HOST", "127.0.0.1"), read.number("PORT", 8000, 0, 65535)
    data_dir = Path(read.text("DATA_DIR", ".data")).absolute()
    database_url = _database_url(read, data_dir)
    return Settings(
        env=env,
        environment_name=name,
        environment_colour=colour,
        host=host,
        port=port,
        base_url=read.web_address("BASE_URL", f"http://{f'[{host}]' if ':' in host else host}:{port}"),
        secret_key=_secret_key(read, env, data_dir),
        old_secret_keys=_old_secret_keys(read),
        data_dir=data_dir,
        database_url=database_url,
        queue_url=_queue_url(read, data_dir, database_url),
        email_providers=read.many("EMAIL_PROVIDERS") or alpha_environment.email_providers(environ),
        sms_providers=read.many("SMS_PROVIDERS") or alpha_environment.sms_providers(environ),
        slack_providers=read.many("SLACK_PROVIDERS"),
        freshservice_providers=read.many("FRESHSERVICE_PROVIDERS"),
        mail_from=read.sender("MAIL_FROM", "Carillon <carillon@localhost.localdomain>"),
        sender_domains=read.domains("SENDER_DOMAINS"),
        dkim=read.dkim_keys("DKIM"),
        bounces=read.parsed("BOUNCES", imap_folder.read),
        rate_limit=read.rate("RATE_LIMIT", "6000/minute"),
        daily_limit=read.number("DAILY_LIMIT", 1_000_000, 0, 10**12),
        max_messages=read.number("MAX_MESSAGES", 10_000, 1, 100_000),
        batch_quiet_seconds=read.seconds("BATCH_QUIET_SECONDS", 60),
        batch_max_wait_seconds=read.seconds("BATCH_MAX_WAIT_SECONDS", 900),
        batch_max_items=read.number("BATCH_MAX_ITEMS", 1000, 1, 1_000_000),
        retry_base_seconds=read.seconds("RETRY_BASE_SECONDS", 30),
        retention_days=read.number("RETENTION_DAYS", 30, 1, 36500),
        # Two nights; nought where something else makes the backups.
        backup_days=read.number("BACKUP_DAYS", 2, 0, 366),
        # 78 weeks, the longest that GOV.UK Notify keeps a file for.
        link_days=read.number("LINK_DAYS", 546, 1, 3650),
        # As much as fits in base64 into a body that is large for files of 10 MiB.
        linked_bytes=read.number("LINKED_FILES_MIB", 11, 1, 44) * 1024 * 1024,
        # How long repeats are known after that; nought is for ever.
        repeats_days=read.number("REPEATS_DAYS", 0, 0, 36500),
        oidc_issuer=_oidc_issuer(read),
        oidc_client_id=read.text("OIDC_CLIENT_ID"),
        oidc_client_secret=read.text("OIDC_CLIENT_SECRET"),
        oidc_groups_claim=read.text("OIDC_GROUPS_CLAIM"),
        trusted_issuers=read.parsed("TRUSTED_ISSUERS", issuer_settings.read),
        token_algorithm=read.token_algorithm(),
        email_enabled=read.switch("EMAIL_ENABLED", default=True),
        sms_enabled=read.switch("SMS_ENABLED", default=True),
        outbound_allow=read.host_ports("OUTBOUND_ALLOW"),
        alpha_sender_domains=read.domains("ALPHA_SENDER_DOMAINS", "gov.uk"),
        metrics_token=read.token("METRICS_TOKEN"),
        metrics_allow=read.networks("METRICS_ALLOW"),
        # Longer than the 60 s for which proxies keep an idle connection, so that it is theirs to close.
        keep_alive_seconds=read.number("KEEP_ALIVE_SECONDS", 75, 1, 86_400),
        scanner=read.parsed("SCANNER", clamd.address),
        link_rules=read.parsed("LINK_RULES", link_rules.read),
    )


def _database_url(read: _Reader, data_dir: Path) -> str:
    raw = read.text("DATABASE_URL", f"sqlite:///{data_dir / 'carillon.db'}")
    scheme = raw.partition(":")[0]
    if scheme in _POSTGRESQL and postgresql.is_readable(f"postgresql:{raw.partition(':')[2]}"):
        return "postgresql+psycopg:" + raw.partition(":")[2]
    if scheme == "sqlite" and raw.startswith("sqlite:///") and len(raw) > len("sqlite:///"):
        return raw
    raise SettingError(
        "CARILLON_DATABASE_URL must begin with postgresql:// or sqlite:/// and name a database "
        f"(an address beginning with {scheme[:20]!r} was given)."
    )


def _queue_url(read: _Reader, data_dir: Path, database_url: str) -> str:
    """Choose the queue: the one that is named, else one beside the database."""
    beside = f"sqlite:///{data_dir / 'queue.db'}" if database_url.startswith("sqlite") else database_url
    raw = read.text("QUEUE_URL", beside)
    scheme = raw.partition(":")[0]
    address = f"postgresql:{raw.partition(':')[2]}"
    if scheme in _POSTGRESQL and postgresql.is_readable(address):
        return address
    if scheme not in {"sqlite", "redis", "rediss"} or _split(raw) is None:
        raise SettingError(
            "CARILLON_QUEUE_URL must begin with postgresql://, redis:// or sqlite:/// "
            f"(an address beginning with {scheme[:20]!r} was given)."
        )
    return raw


def _oidc_issuer(read: _Reader) -> str:
    """Take the OpenID provider's issuer: compared letter by letter later, so it is kept as it was written."""
    names = ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")
    missing = [f"CARILLON_{name}" for name in names if not read.text(name)]
    issuer = read.text("OIDC_ISSUER")
    if len(missing) == len(names):
        return ""
    if missing:
        raise SettingError(f"{' and '.join(missing)} must be set too: sign-in through OpenID Connect needs all three.")
    parts = _split(issuer)
    safe = parts is not None and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))
    if parts is None or not safe or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise SettingError(f"CARILLON_OIDC_ISSUER must be an https address without a query, not {issuer[:80]!r}.")
    return issuer


def _secret_key(read: _Reader, env: Environment, data_dir: Path) -> str:
    """Take the key that is given; outside production make one and keep it in the data directory."""
    given = read.text("SECRET_KEY")
    if given:
        if len(given) < 16:
            raise SettingError("CARILLON_SECRET_KEY must be at least 16 characters long; 32 random bytes serve well.")
        return given
    if env == "production":
        raise SettingError("CARILLON_SECRET_KEY must be set in production: it protects every stored secret.")
    return keep_secret(data_dir / "secret.key", secrets.token_urlsafe(32))


def _old_secret_keys(read: _Reader) -> tuple[str, ...]:
    """Take the keys before the present one, which still open what they sealed."""
    given = read.many("OLD_SECRET_KEYS")
    if any(len(key) < 16 for key in given):
        raise SettingError("CARILLON_OLD_SECRET_KEYS must be keys of at least 16 characters with commas between them.")
    return given


def keep_secret(path: Path, value: str) -> str:
    """Return a secret as ``secret_files.keep`` does; raises SettingError where it cannot."""
    try:
        return secret_files.keep(path, value)
    except OSError as error:
        raise SettingError(f"CARILLON_DATA_DIR cannot be used: {path} {error.strerror}.") from error


@lru_cache(maxsize=1)
def current() -> Settings:
    """Return the settings of this process, read once."""
    return from_environment(os.environ)
