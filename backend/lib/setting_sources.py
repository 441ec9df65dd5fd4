"""Where a setting comes from: a variable, or for a secret also a file that another variable names, or a credential.

A file is what Kubernetes and compose mount (``CARILLON_SECRET_KEY_FILE``); a credential is a file that systemd puts
into ``$CREDENTIALS_DIRECTORY`` under the setting's own name (systemd.exec(5), ``LoadCredential=``). Neither is seen
by whoever lists the environment of a process.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from backend.lib.settings_catalogue import FILE, PREFIX, SETTINGS, Setting, from_file, masked

_CREDENTIALS = "CREDENTIALS_DIRECTORY"
_MOST_BYTES = 64 * 1024


class UnusableSource(ValueError):
    """A secret that cannot be had from where it is said to be; the text is a sentence that names the setting."""


class Value(msgspec.Struct, frozen=True):
    """A setting as it is, its value masked; ``source`` is ``environment``, ``file``, ``credential`` or ``default``."""

    name: str
    value: str
    source: str
    default: str


class Source(msgspec.Struct, frozen=True):
    """What is set, which is empty where nothing is; ``path`` is that of the file that it is in."""

    text: str
    kind: str  # environment, file, credential or default
    path: Path | None = None


def given(environ: Mapping[str, str], name: str) -> Source:
    """Return a setting, by its name without the prefix, from the one place where it is.

    Raises:
        UnusableSource: it is in two places, or in a file that cannot be used.
    """
    text = environ.get(f"{PREFIX}{name}", "").strip()
    path = path_of(environ, name) if from_file(name) else None
    if path is None:
        return Source(text, "environment" if text else "default")
    what = _named(environ, name)
    if text:
        raise UnusableSource(f"{PREFIX}{name} and {what} are both there: leave one of them out.")
    return Source(_read(path, what), "file" if _file(environ, name) else "credential", path)


def path_of(environ: Mapping[str, str], name: str) -> Path | None:
    """Return the file in which a secret is said to be.

    Raises:
        UnusableSource: there are two.
    """
    file = _file(environ, name)
    folder = environ.get(_CREDENTIALS, "")
    credential = Path(folder) / f"{PREFIX}{name}" if folder else None
    if credential is None or not credential.exists():
        return Path(file) if file else None
    if file:
        raise UnusableSource(f"{PREFIX}{name}{FILE} and the credential {PREFIX}{name} are both there: leave one out.")
    return credential


def _file(environ: Mapping[str, str], name: str) -> str:
    return environ.get(f"{PREFIX}{name}{FILE}", "").strip()


def _named(environ: Mapping[str, str], name: str) -> str:
    return f"{PREFIX}{name}{FILE}" if _file(environ, name) else f"the credential {PREFIX}{name}"


def _read(path: Path, what: str) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1).decode().strip()
    except OSError as error:
        raise UnusableSource(f"{what} cannot be read: {path}: {(error.strerror or 'not possible').lower()}.") from error
    except UnicodeDecodeError as error:
        raise UnusableSource(f"{what} is no text: {path}.") from error
    if not text or len(text) > _MOST_BYTES:
        raise UnusableSource(f"{what} is {'too large' if text else 'empty'}: {path}.")
    if len(text.splitlines()) > 1:
        raise UnusableSource(f"{what} has more than one line: {path}. Where several are wanted, write commas between.")
    return text


def listed(environ: Mapping[str, str]) -> list[Value]:
    """List every setting as it is, secrets masked; of one that cannot be had, why."""
    return [_value(environ, setting) for setting in SETTINGS]


def _value(environ: Mapping[str, str], setting: Setting) -> Value:
    name = f"{PREFIX}{setting.name}"
    try:
        found = given(environ, setting.name)
    except UnusableSource as fault:
        return Value(name, f"unusable: {fault}", "file", setting.default)
    return Value(name, masked(setting, found.text), found.kind, setting.default)
