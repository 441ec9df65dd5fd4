"""What an organisation's messages look like: its logo, its colours, the words below them, and who they come from."""

from collections.abc import Mapping
from functools import lru_cache

import msgspec

# By this name the layouts and partials that come with Carillon see the brand; no field takes its place.
OURS = "_brand"
WHITE = "#ffffff"
# What dark mail programs show in the place of white, as the layout of mails says.
DARK = "#1d242b"


class Logo(msgspec.Struct, frozen=True):
    """A picture that goes along with the mail (``src`` is its ``cid:``); ``width`` and ``height`` are in CSS pixels."""

    src: str
    alt: str
    width: int
    height: int


class Colours(msgspec.Struct, frozen=True):
    """Colours as ``#rrggbb``; text and links stand on ``background`` and on white.

    ``link_dark`` is that of links where mail programs show the message in the dark.
    """

    primary: str = "#1f4e5f"
    on_primary: str = WHITE
    background: str = "#f1f4f6"
    text: str = "#1f2a33"
    link: str = "#0b5f73"
    link_dark: str = "#7cc7da"


class FooterLink(msgspec.Struct, frozen=True):
    """A link below a message."""

    text: str
    address: str


class Footer(msgspec.Struct, frozen=True):
    """What stands below every message: lines of text, then links."""

    lines: tuple[str, ...] = ()
    links: tuple[FooterLink, ...] = ()

    @property
    def text(self) -> str:
        """Return it as plain text; empty where there is nothing."""
        return "\n".join([*self.lines, *(f"{one.text}: {one.address}" for one in self.links)])


class Brand(msgspec.Struct, frozen=True):
    """A brand as templates see it; ``sender_name`` is empty where none is set.

    ``name`` is that of the organisation, empty where there is none. ``is_set`` tells that it has a logo or colours.
    """

    name: str = ""
    is_set: bool = False
    logo: Logo | None = None
    colours: Colours = Colours()
    footer: Footer = Footer()
    sender_name: str = ""

    def variables(self, service: str) -> Mapping[str, object]:
        """Return it under the names that templates know; a service without an organisation stands for itself."""
        return _variables(self, service)


@lru_cache(maxsize=1024)
def _variables(brand: Brand, service: str) -> Mapping[str, object]:
    """Write a brand as plain data, once for many messages: no template can change it."""
    found: dict[str, object] = msgspec.to_builtins(brand)
    return found | {"name": brand.sender_name or brand.name or service}


NEUTRAL = Brand()
