"""Where a setting comes from: a variable, or for a secret also a file that another variable names, or a credential.

A file is what Kubernetes and compose mount (``CARILLON_SECRET_KEY_FILE``); a credential is a file that systemd puts
into ``$CREDENTIALS_DIRECTORY`` under the setting's own name (systemd.exec(5), ``LoadCredential=``). Neither is seen
by whoever lists the environment of a process.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from backend.lib import alpha_environment
from backend.lib.setting_kinds import Shown

PREFIX = "CARILLON_"
# Behind the name of a secret: the variable that names the file in which it is.
FILE = "_FILE"
_CREDENTIALS = "CREDENTIALS_DIRECTORY"
_MOST_BYTES = 64 * 1024


class UnusableSource(ValueError):
    """A secret that cannot be had from where it is said to be; the text is a sentence that names the setting."""


class Source(msgspec.Struct, frozen=True):
    """What is set, which is empty where nothing is; ``path`` is that of the file that it is in."""

    text: str
    kind: str  # environment, file, credential or default
    path: Path | None = None


def shown(field: FieldInfo) -> Shown | None:
    """Return how much of a setting may be shown: all of it, if it is no secret."""
    return next((mark for mark in field.metadata if isinstance(mark, Shown)), None)


class Environment(PydanticBaseSettingsSource):
    """All that is set, as texts, and what stands for it among the variables of the GOV.UK Notify alpha."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._environ = environ

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str, str, bool]:
        """Return the text of a setting, which is empty where nothing is set; raises UnusableSource."""
        found = given(self._environ, field_name.upper(), is_secret=shown(field) is not None)
        return found.text, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the texts of the settings that are set; raises UnusableSource."""
        found = {name: self.get_field_value(one, name)[0] for name, one in self.settings_cls.model_fields.items()}
        # An empty list is as good as none.
        return alpha_environment.providers(self._environ) | {
            name: text for name, text in found.items() if text.strip(", ")
        }


def given(environ: Mapping[str, str], name: str, *, is_secret: bool) -> Source:
    """Return a setting, by its name without the prefix, from the one place where it is.

    Raises:
        UnusableSource: it is in two places, or in a file that cannot be used.
    """
    text = environ.get(f"{PREFIX}{name}", "").strip()
    path = path_of(environ, name) if is_secret else None
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
