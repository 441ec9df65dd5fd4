"""Looks at the settings: names that nothing reads, and what cannot be right in production."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backend.doctor.examination import Check, Fault, Warned
from backend.lib import keyring, setting_sources, settings, settings_catalogue
from backend.lib.settings import LOOPBACK

_KEY_LETTERS, _KEY_KINDS = 32, 10
_NOBODY = "@localhost.localdomain"


def readable() -> str:
    """Look at whether the settings can be used at all."""
    configuration = settings.current()
    return f"{configuration.env} at {configuration.base_url}, data in {configuration.data_dir}"


def names() -> str:
    """Look for variables that are misspelt."""
    found = settings_catalogue.unknown(os.environ)
    if not found:
        return "every CARILLON_… variable is a setting"
    said = " ".join(one.sentence() for one in found)
    if any(one.meant for one in found):
        raise Fault(f"{said} Rename or remove it.")
    raise Warned(f"{said} Remove it.")


def secret_key() -> str:
    """Look at whether the key could be guessed."""
    key = settings.current().secret_key
    if len(key) < _KEY_LETTERS or len(set(key)) < _KEY_KINDS:
        said = (
            "CARILLON_SECRET_KEY is weak: set one of 32 random bytes, such as `openssl rand -base64 32` prints, "
            "the present one in CARILLON_OLD_SECRET_KEYS, and run `carillon secrets rotate`"
        )
        if settings.current().env == "production":
            raise Fault(said)
        raise Warned(said)
    return f"the key {keyring.present_id()} is long enough"


def secret_files() -> str:
    """Look at who may read the files that secrets are in."""
    found = {name: setting_sources.path_of(os.environ, name) for name in settings_catalogue.SECRETS}
    files = {name: path for name, path in found.items() if path is not None}
    opened = [f"{path} of CARILLON_{name}" for name, path in files.items() if path.stat().st_mode & 0o007]
    if opened:
        raise Warned(f"everybody on this machine can read {', '.join(opened)}: `chmod o=` takes that from them")
    return f"{len(files)} secrets are in files, none of them for everybody" if files else "no secret is in a file"


def production() -> str:
    """Look at what clients, browsers and readers of mails are told."""
    if settings.current().env != "production":
        return "CARILLON_ENV is not production: what only production needs is not looked at"
    faults = list(_unfit())
    if faults:
        raise Fault(" ".join(faults))
    return "base address, sender and providers are set for production"


def _unfit() -> Iterator[str]:
    configuration = settings.current()
    parts = urlsplit(configuration.base_url)
    if not os.environ.get("CARILLON_BASE_URL"):
        yield "CARILLON_BASE_URL is not set: links in messages lead nowhere. Set the address that browsers use."
    elif parts.scheme != "https" and parts.hostname not in LOOPBACK:
        yield "CARILLON_BASE_URL is http: passwords and tokens travel openly. Put a TLS proxy in front and say https."
    if configuration.mail_from.rstrip(">").endswith(_NOBODY):
        yield "CARILLON_MAIL_FROM is not set: servers refuse mail from nobody's domain. Set your own sender."
    if not configuration.email_providers:
        yield "CARILLON_EMAIL_PROVIDERS is not set: mails stay in the outbox and reach nobody. Name a mail server."


def proxies() -> str:
    """Look at whose word is taken for a client's address."""
    trusted = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")
    configuration = settings.current()
    if "*" in trusted.split(","):
        raise Warned(
            "FORWARDED_ALLOW_IPS trusts everybody: a client can claim any address, and get round limits of sign-ins. "
            "Name your proxies"
        )
    parts = urlsplit(configuration.base_url)
    behind = parts.scheme == "https" and parts.hostname not in LOOPBACK
    if behind and "FORWARDED_ALLOW_IPS" not in os.environ and configuration.host not in LOOPBACK:
        raise Warned(
            "FORWARDED_ALLOW_IPS is not set and this listens to other machines: if the TLS proxy is one, all clients "
            "look like it. Name the proxy's address"
        )
    return f"a client's address is taken from {trusted}"


def data_directory() -> str:
    """Look at who may read and write what is kept in files."""
    folder = settings.current().data_dir
    if not folder.exists():
        return f"{folder} is made when it is needed"
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Fault(f"{folder} cannot be written to by this user: give it to the user of the service")
    rights = folder.stat().st_mode
    shared = rights & stat.S_ISVTX or folder == Path(folder.anchor)
    if rights & 0o077 and not shared:
        raise Fault(f"{folder} can be read by others: `chmod -R go= {folder}`")
    return f"{folder} is its owner's alone"


def time_zone() -> str:
    """Look at whether the zone of this machine is one."""
    zone = os.environ.get("TZ", "").lstrip(":")
    try:
        if zone and not zone.startswith("/"):
            ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise Warned(
            f"TZ={zone} is no time zone that this machine knows: times in logs are UTC. Mend or unset it"
        ) from None
    return f"times in logs are in {zone or 'the zone of the machine'}; inside all is UTC"


CHECKS = (
    Check("settings", readable),
    Check("names", names),
    Check("key", secret_key),
    Check("secrets", secret_files),
    Check("production", production),
    Check("proxies", proxies),
    Check("files", data_directory),
    Check("zone", time_zone),
)
