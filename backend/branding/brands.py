"""The brands of organisations and services: what each has of its own, and what its messages get of that.

Of every part a service has its own, else its organisation's, else there is the installation's neutral default.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from backend.accounts import audit, organisations
from backend.accounts.audit import Actor
from backend.branding import colours, pictures
from backend.branding.pictures import Picture
from backend.db.models.accounts import Organisation, Service
from backend.db.models.brands import Brand as BrandRow
from backend.db.models.brands import BrandLogo
from backend.lib import clock, settings
from backend.rendering.model import NEUTRAL, Brand, Colours, Footer, Logo


class LogoPart(msgspec.Struct, frozen=True):
    """A logo as a brand names it; ``width`` and ``height`` are those of the picture. Without a digest there is none."""

    digest: str = ""
    type: str = ""
    alt: str = ""
    width: int = 0
    height: int = 0


class Parts(msgspec.Struct, frozen=True):
    """What an organisation or a service has of its own; what is None is taken from the next."""

    logo: LogoPart | None = None
    colours: Colours | None = None
    footer: Footer | None = None
    sender_name: str | None = None


NOTHING = Parts()


class Owner(msgspec.Struct, frozen=True):
    """Whose brand it is, an organisation's or a service's, by its number and as people call it."""

    name: str = ""
    organisation_id: int | None = None
    service_id: int | None = None


class Above(msgspec.Struct, frozen=True):
    """What a service takes its parts from; without an organisation ``name`` is empty."""

    name: str = ""
    parts: Parts = NOTHING


def of(session: Session, owner: Owner) -> Parts:
    """Return what an organisation or a service has of its own."""
    row = _row(session, owner)
    return _parts(row.logo, row.colours, row.footer, row.sender_name) if row is not None else NOTHING


def above(session: Session, service_id: int) -> Above:
    """Return what a service's organisation has."""
    found = session.execute(
        select(Organisation.id, Organisation.name)
        .join(Service, Service.organisation_id == Organisation.id)
        .where(Service.id == service_id)
    ).one_or_none()
    return Above(found.name, of(session, Owner(organisation_id=found.id))) if found is not None else Above()


def resolved(own: Parts, over: Above) -> Brand:
    """Return what messages get: each part of the first that has it."""
    logo = over.parts.logo if own.logo is None else own.logo
    ink = over.parts.colours if own.colours is None else own.colours
    footer = over.parts.footer if own.footer is None else own.footer
    sender = over.parts.sender_name if own.sender_name is None else own.sender_name
    return Brand(
        name=over.name,
        is_set=bool(ink or (logo and logo.digest)),
        logo=_shown(logo),
        colours=ink or NEUTRAL.colours,
        footer=footer or NEUTRAL.footer,
        sender_name=sender or "",
    )


def sources(own: Parts, over: Above) -> dict[str, str]:
    """Say of each part where a service has it from."""

    def said(part: str) -> str:
        if getattr(own, part) is not None:
            return "the service’s own"
        return f"from {over.name}" if getattr(over.parts, part) is not None else "the default"

    return {part: said(part) for part in Parts.__struct_fields__}


def of_services(session: Session) -> dict[int, tuple[str, Brand]]:
    """Return the name and the brand of every service; brands that are alike are one object."""
    columns = (BrandRow.logo, BrandRow.colours, BrandRow.footer, BrandRow.sender_name)
    of_service: dict[int, Parts] = {}
    of_organisation: dict[int, Parts] = {}
    for service_id, organisation_id, *parts in session.execute(
        select(BrandRow.service_id, BrandRow.organisation_id, *columns)
    ):
        if service_id is not None:
            of_service[service_id] = _parts(*parts)
        else:
            of_organisation[organisation_id] = _parts(*parts)
    over = {one: Above(name, of_organisation.get(one, NOTHING)) for one, name in organisations.names(session).items()}
    made: dict[Brand, Brand] = {NEUTRAL: NEUTRAL}
    found = {}
    for service_id, name, organisation_id in session.execute(select(Service.id, Service.name, Service.organisation_id)):
        brand = resolved(of_service.get(service_id, NOTHING), over.get(organisation_id or 0, Above()))
        found[service_id] = (name, made.setdefault(brand, brand))
    return found


def put(session: Session, owner: Owner, parts: Parts, picture: Picture | None, by: Actor) -> list[str]:
    """Store what an organisation or a service has of its own, and return which parts are other than before.

    ``picture`` is what the logo names where it is new.
    """
    if parts.colours is not None:
        parts = msgspec.structs.replace(parts, colours=colours.with_dark(parts.colours))
    before = of(session, owner)
    changed = [name for name in Parts.__struct_fields__ if getattr(before, name) != getattr(parts, name)]
    if not changed:
        return []
    row = _row(session, owner)
    if row is None:
        row = BrandRow(organisation_id=owner.organisation_id, service_id=owner.service_id)
        session.add(row)
    row.logo, row.colours = _plain(parts.logo), _plain(parts.colours)
    row.footer, row.sender_name = _plain(parts.footer), parts.sender_name
    if picture is not None:
        session.merge(BrandLogo(digest=picture.digest, type=picture.type, content=picture.content, unused_since=None))
    session.flush()
    _let_go(session)
    audit.record(session, by, "brand.changed", owner.name, service_id=owner.service_id, detail=_told(parts, changed))
    return changed


def _told(parts: Parts, changed: Sequence[str]) -> dict[str, Any]:
    """Say what changed; the words of a footer may hold addresses of people, and the log keeps them for ever."""
    told: dict[str, Any] = {"changed": list(changed)}
    told["inherited"] = [name for name in changed if getattr(parts, name) is None]
    if "colours" in changed and parts.colours is not None:
        told["colours"] = _plain(parts.colours)
    if "logo" in changed and parts.logo is not None:
        told["logo"] = parts.logo.digest or "none"
    if "sender_name" in changed:
        told["sender_name"] = parts.sender_name
    return told


def _let_go(session: Session) -> None:
    """Delete pictures that no brand has had for as long as messages are kept, and note which none has from now on."""
    used = {row["digest"] for row in session.scalars(select(BrandRow.logo)) if row and row.get("digest")}
    others = BrandLogo.digest.not_in(used)
    now = clock.now()
    kept = timedelta(days=max(settings.current().retention_days, 1))
    session.execute(update(BrandLogo).where(BrandLogo.digest.in_(used)).values(unused_since=None))
    session.execute(update(BrandLogo).where(others, BrandLogo.unused_since.is_(None)).values(unused_since=now))
    session.execute(delete(BrandLogo).where(others, BrandLogo.unused_since < now - kept))


def _row(session: Session, owner: Owner) -> BrandRow | None:
    return session.scalar(
        select(BrandRow).where(
            BrandRow.organisation_id == owner.organisation_id
            if owner.service_id is None
            else BrandRow.service_id == owner.service_id
        )
    )


def _parts(logo: Any, ink: Any, footer: Any, sender_name: str | None) -> Parts:
    stored = msgspec.convert(ink, Colours | None)
    return Parts(
        msgspec.convert(logo, LogoPart | None),
        colours.with_dark(stored) if stored else None,
        msgspec.convert(footer, Footer | None),
        sender_name,
    )


def _plain(part: Any) -> Any:
    return None if part is None else msgspec.to_builtins(part)


def _shown(part: LogoPart | None) -> Logo | None:
    if part is None or not part.digest:
        return None
    width, height = pictures.shown(part.width, part.height)
    return Logo(f"cid:{pictures.name(part.digest, part.type)}", part.alt, width, height)
