"""What an operator says of links in messages: hosts that are forbidden or allowed, and whether one must unsubscribe.

    [[hosts]]
    host = "bit.ly"
    reason = "the mail filter takes shortened links out"

    [[hosts]]
    host = "intranet.lab.example"
    allow = true
    reason = "everybody who has mail from us is inside"

    [unsubscribe]
    words = ["unsubscribe", "abbestellen"]
    reason = "what goes to subscribers must tell how to leave"

A rule holds for the host and for those below it; of several the first counts.
"""

import re
import tomllib
from pathlib import Path

import msgspec

_MAX_BYTES = 256 * 1024
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


class UnusableRules(ValueError):
    """The setting cannot be used; the text is the rest of a sentence that begins with the setting's name."""


class HostRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A host that links and images may not lead to, or may although it looks wrong, and why."""

    host: str
    reason: str
    allow: bool = False

    def is_about(self, host: str) -> bool:
        """Tell whether the rule holds for a host."""
        return host == self.host or host.endswith(f".{self.host}")


class Unsubscribe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words of which every e-mail in HTML or Markdown must have one, and why."""

    reason: str
    words: tuple[str, ...] = ("unsubscribe",)


class LinkRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All rules; there are none unless the operator writes some."""

    hosts: tuple[HostRule, ...] = ()
    unsubscribe: Unsubscribe | None = None

    def of(self, host: str) -> HostRule | None:
        """Return the rule that holds for a host, if one does."""
        return next((rule for rule in self.hosts if rule.is_about(host)), None)


def read(setting: str) -> LinkRules:
    """Read the setting: the path of a TOML file, or empty for no rules.

    Raises:
        UnusableRules: for the first thing that cannot be used.
    """
    if not setting:
        return LinkRules()
    path = Path(setting)
    try:
        with path.open("rb") as file:
            found = msgspec.convert(tomllib.loads(file.read(_MAX_BYTES).decode()), LinkRules)
    except OSError as error:
        raise UnusableRules(f"names the file {path}, which cannot be read: {error.strerror}.") from error
    except msgspec.ValidationError as error:
        raise UnusableRules(
            f"names the file {path}, which cannot be used: {str(error).replace('`', chr(39))}."
        ) from error
    except ValueError as error:  # tomllib.TOMLDecodeError and UnicodeDecodeError are such
        raise UnusableRules(f"names the file {path}, which is not TOML in UTF-8: {error}.") from error
    for rule in found.hosts:
        if not _HOST.fullmatch(rule.host):
            raise UnusableRules(f"names the file {path}, in which {rule.host[:80]!r} is no host in small letters.")
    return found
