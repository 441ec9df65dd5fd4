"""The form of a brand: of each part whether it is one's own, and what it is."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from backend.branding import colours, footers, pictures, senders
from backend.branding.brands import Above, LogoPart, Parts
from backend.branding.pictures import Picture
from backend.lib.problems import Problem
from backend.portal.forms import Faults
from backend.rendering.model import NEUTRAL, Colours, Footer

Part = TypeVar("Part")
INHERITED, OWN, NONE = "inherited", "own", "none"
_INK = tuple(colours.NAMES)
_MAX_ALT = 120
_NO_ALT = (
    f"Say in 1 to {_MAX_ALT} characters what the logo shows, such as the organisation’s name: it is read out, and"
    " stands where pictures are not shown."
)


class Link(msgspec.Struct):
    """A row of the footer's links."""

    text: str = ""
    address: str = ""


class Written(msgspec.Struct, kw_only=True):
    """A form as it was written; ``logo``, ``colours``, ``footer`` and ``sender`` say whose each part is."""

    logo: str = INHERITED
    logo_alt: str = ""
    colours: str = INHERITED
    ink: dict[str, str] = {}
    footer: str = INHERITED
    lines: str = ""
    links: list[Link] = []
    sender: str = INHERITED
    sender_name: str = ""


def of(own: Parts, over: Above) -> Written:
    """Return the form of what is stored; a part that is not one's own begins as what it is taken from."""
    logo, ink = own.logo or over.parts.logo or LogoPart(), own.colours or over.parts.colours or NEUTRAL.colours
    footer = own.footer or over.parts.footer or NEUTRAL.footer
    return Written(
        logo=INHERITED if own.logo is None else OWN if own.logo.digest else NONE,
        logo_alt=logo.alt,
        colours=_whose(own.colours),
        ink={name: getattr(ink, name) for name in _INK},
        footer=_whose(own.footer),
        lines="\n".join(footer.lines),
        links=_padded([Link(one.text, one.address.removeprefix("mailto:")) for one in footer.links]),
        sender=_whose(own.sender_name),
        sender_name=own.sender_name or over.parts.sender_name or "",
    )


def read(data: Mapping[str, Any]) -> Written:
    """Read a form, or the part of an address that says the same."""

    def text(name: str) -> str:
        found = data.get(name)
        return found if isinstance(found, str) else ""

    rows = range(footers.MAX_LINKS)
    return Written(
        logo=text("logo_of"),
        logo_alt=text("logo_alt"),
        colours=text("colours_of"),
        ink={name: text(name) for name in _INK},
        footer=text("footer_of"),
        lines=text("lines"),
        links=[Link(text(f"link_text_{row}"), text(f"link_address_{row}")) for row in rows],
        sender=text("sender_of"),
        sender_name=text("sender_name"),
    )


def parts(written: Written, own: Parts, picture: Picture | None, faults: Faults) -> Parts:
    """Return what a form says; a part with a fault stays what it was, but for colours that cannot be read."""
    return Parts(
        _logo(written, own.logo, picture, faults),
        _part(written.colours, own.colours, lambda: _colours(written.ink, faults)),
        _part(written.footer, own.footer, lambda: _footer(written, faults)),
        _part(written.sender, own.sender_name, lambda: _sender(written, faults)),
    )


def picture(content: bytes, faults: Faults) -> Picture | None:
    """Look at an uploaded file, if there is one."""
    found: Picture | None = None
    if content:
        with faults.on("logo_file"):
            found = pictures.read(content)
    return found


def _whose(part: object | None) -> str:
    return INHERITED if part is None else OWN


def _padded(links: list[Link]) -> list[Link]:
    return links + [Link() for _ in range(footers.MAX_LINKS - len(links))]


def _part(whose: str, before: Part | None, own: Callable[[], Part | None]) -> Part | None:
    if whose != OWN:
        return None
    made = own()
    return before if made is None else made


def _logo(written: Written, before: LogoPart | None, new: Picture | None, faults: Faults) -> LogoPart | None:
    if written.logo == NONE:
        return LogoPart()
    if written.logo != OWN:
        return None
    alt = " ".join(written.logo_alt.split())
    if new is None and not (before and before.digest):
        faults.add("logo_file", "Choose a picture.")
    if not 1 <= len(alt) <= _MAX_ALT or not alt.isprintable():
        faults.add("logo_alt", _NO_ALT)
        return before
    if new is not None:
        return LogoPart(new.digest, new.type, alt, new.width, new.height)
    return msgspec.structs.replace(before, alt=alt) if before and before.digest else before


def _colours(ink: Mapping[str, str], faults: Faults) -> Colours | None:
    found: dict[str, str] = {}
    for name in _INK:
        with faults.on(name):
            found[name] = colours.read(name, ink[name])
    if len(found) < len(_INK):
        return None
    made = colours.with_dark(Colours(**found))
    for pair in colours.pairs(made):
        if pair.sentence is not None:
            faults.add(pair.field, pair.sentence)
    return made


def _footer(written: Written, faults: Faults) -> Footer | None:
    try:
        return footers.read(written.lines, [(one.text, one.address) for one in written.links])
    except Problem as problem:
        for error in problem.errors:
            faults.add(_field(error.pointer), error.detail)
        return None


def _field(pointer: str) -> str:
    """Name the field of a fault: ``/links/0/text`` is ``link_text_0``."""
    _, kind, *workspace = pointer.split("/")
    return f"link_{workspace[1]}_{workspace[0]}" if workspace else kind


def _sender(written: Written, faults: Faults) -> str | None:
    found: str | None = None
    with faults.on("sender_name"):
        found = senders.checked(written.sender_name)
    return found  # noqa: RET504 - what is wrong with it ends the block, not the function
