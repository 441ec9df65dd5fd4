"""The brand of a service or an organisation: changed in a form that shows meanwhile how mails come out with it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency

from backend.accounts.audit import Actor
from backend.accounts.sessions import Viewer
from backend.branding import brands, colours, logos, pictures, senders
from backend.branding.brands import Above, Owner, Parts
from backend.branding.colours import Pair
from backend.branding.pictures import Picture
from backend.db import database as db
from backend.db.models.accounts import Service
from backend.lib import settings
from backend.portal import access, branding_form, live
from backend.portal.access import Workspace
from backend.portal.branding_form import INHERITED, NONE, OWN, Written
from backend.portal.forms import Faults, Uploaded
from backend.portal.pages import Page, go, page
from backend.portal.security import MESSAGE_POLICY
from backend.publishing import sources
from backend.rendering import engine
from backend.rendering.model import Brand, RenderJob, Source
from backend.rendering.starters import starters

# Of the form, whose file may be larger than what is taken: then there is a sentence about it.
MAX_BODY = 4 * 1024 * 1024
Form = Uploaded[dict[str, Any]]
# Which starter a preview shows, in which scheme, and what the answer to a query for the colours of the dark is there.
_SHOWN = {
    "light": ("SLACK_UPDATE", "light", "not all"),
    "dark": ("SLACK_UPDATE", "dark", "all"),
    "mjml": ("DEPLOYMENT_NOTICE", "light", "not all"),
}
_DARK = "(prefers-color-scheme: dark)"


class Desk(msgspec.Struct, frozen=True):
    """Whose brand is looked at, and what it has: ``address`` is that of the page, ``sender`` of its e-mails."""

    owner: Owner
    address: str
    back: str
    actor: Actor
    own: Parts
    over: Above
    sender: str | None = None

    def brand(self, parts: Parts) -> Brand:
        """Return what messages would get."""
        return brands.resolved(parts, self.over)


class Look(msgspec.Struct, frozen=True):
    """How messages come out: the addresses of the frames, who they come from, and which colours can be read."""

    frames: dict[str, str]
    sender: str
    pairs: list[Pair]


@get("/settings/branding", guards=[access.administrators], sync_to_thread=True)
def show(workspace: NamedDependency[Workspace]) -> Page:
    """Show the service's brand in a form."""
    desk = _desk(workspace)
    return shown(workspace.viewer, desk, branding_form.of(desk.own, desk.over), Faults(), workspace)


@post("/settings/branding", guards=[access.administrators], request_max_body_size=MAX_BODY, sync_to_thread=True)
def save(workspace: NamedDependency[Workspace], data: Form) -> Response[Any]:
    """Change the service's brand, or show what a change would look like."""
    return answered(workspace.viewer, _desk(workspace), data, workspace)


@get("/settings/branding/look", guards=[access.administrators, live.inside_its_page], sync_to_thread=True)
def look(workspace: NamedDependency[Workspace], request: Request[Any, Any, Any]) -> Page:
    """Answer with the part of the page that shows how messages would come out."""
    return looked(workspace.viewer, _desk(workspace), request.query_params)


@get("/settings/branding/preview", guards=[access.administrators], sync_to_thread=True)
def preview(workspace: NamedDependency[Workspace], request: Request[Any, Any, Any]) -> Response[str]:
    """Serve a starter with a brand that is not saved, for the sandboxed frame."""
    return framed(_desk(workspace), request.query_params)


def _desk(workspace: Workspace) -> Desk:
    owner = Owner(workspace.service_name, service_id=workspace.service_id)
    with db.current().read() as reading:
        sender = reading.get_one(Service, workspace.service_id).mail_from
        own, over = brands.of(reading, owner), brands.above(reading, workspace.service_id)
    address = workspace.address("settings/branding")
    return Desk(owner, address, workspace.address("settings"), workspace.actor, own, over, sender)


def shown(viewer: Viewer, desk: Desk, form: Written, faults: Faults, workspace: Workspace | None = None) -> Page:
    """Make the page of a form."""
    return page(
        "branding/index.html",
        viewer,
        current="settings" if workspace else "admin",
        workspace=workspace,
        status_code=faults.status,
        desk=desk,
        form=form,
        faults=faults,
        look=_look(desk, form),
        logo=_logo(desk),
        names=colours.NAMES,
        limits=(pictures.MAX_BYTES // 1024, pictures.MAX_WIDTH, pictures.MAX_HEIGHT),
        choices=_choices(desk),
    )


def looked(viewer: Viewer, desk: Desk, query: Mapping[str, Any]) -> Page:
    """Make the part of the page that follows the form."""
    return page("branding/_look.html", viewer, look=_look(desk, branding_form.read(query)))


def answered(viewer: Viewer, desk: Desk, data: Mapping[str, Any], workspace: Workspace | None = None) -> Response[Any]:
    """Save a form that has no fault, or show it again; ``action=look`` saves nothing."""
    form, faults = branding_form.read(data), Faults()
    if data.get("action") == "look":
        return shown(viewer, desk, form, faults, workspace)
    new = branding_form.picture(_uploaded(data), faults) if form.logo == OWN else None
    parts = branding_form.parts(form, desk.own, new, faults)
    if faults:
        return shown(viewer, desk, form, faults, workspace)
    changed = _put(desk, parts, new)
    if not changed:
        return go(desk.back, "Nothing was changed.")
    return go(desk.back, "The branding is saved. Messages have it within half a minute.")


def framed(desk: Desk, query: Mapping[str, Any]) -> Response[str]:
    """Render a starter with what a form says; mail programs that are dark ask for other colours."""
    starter, scheme, dark = _SHOWN.get(str(query.get("as", "")), _SHOWN["light"])
    drafted = _drafted(desk, branding_form.read(query))
    around = sources.of(desk.owner.name, desk.brand(drafted))
    (one,) = (one for one in starters() if one.identifier == starter)
    source = Source(one.format, one.source, one.subject, around=around)
    html = engine.render(RenderJob("", source, one.sample_fields, one.batch)).html or ""
    html = logos.embedded(html).replace(_DARK, dark).replace("color-scheme: light dark", f"color-scheme: {scheme}")
    return Response(html, media_type="text/html", headers={"Content-Security-Policy": MESSAGE_POLICY})


def _uploaded(data: Mapping[str, Any]) -> bytes:
    file = data.get("logo_file")
    return file.file.read(pictures.MAX_BYTES + 1) if isinstance(file, UploadFile) else b""


def _put(desk: Desk, parts: Parts, new: Picture | None) -> list[str]:
    with db.current().transaction() as transaction:
        changed = brands.put(transaction, desk.owner, parts, new, desk.actor)
    sources.clear()
    return changed


def _drafted(desk: Desk, form: Written) -> Parts:
    return branding_form.parts(form, desk.own, None, Faults())


def _look(desk: Desk, form: Written) -> Look:
    brand = desk.brand(_drafted(desk, form))
    told = {"logo_of": form.logo, "logo_alt": form.logo_alt, "colours_of": form.colours, **form.ink}
    told |= {"footer_of": form.footer, "lines": form.lines, "sender_of": form.sender, "sender_name": form.sender_name}
    for row, link in enumerate(form.links):
        if link.text or link.address:
            told |= {f"link_text_{row}": link.text, f"link_address_{row}": link.address}
    frames = {name: f"{desk.address}/preview?{urlencode({'as': name} | told)}" for name in _SHOWN}
    sender = senders.named(desk.sender, settings.current().mail_from, brand.sender_name)
    return Look(frames, sender, colours.pairs(brand.colours))


def _logo(desk: Desk) -> str | None:
    """Return the picture of the logo that messages have now, as an address that holds it."""
    logo = desk.brand(desk.own).logo
    return logos.embedded(logo.src) if logo is not None else None


def _choices(desk: Desk) -> dict[str, list[tuple[str, str, str | None]]]:
    """Return whose each part can be, with where it comes from if it is not one's own."""
    of_service = desk.owner.service_id is not None
    own = ("The service’s own" if of_service else "The organisation’s own", None)
    found = {}
    for part in ("logo", "colours", "footer", "sender_name"):
        given = getattr(desk.over.parts, part) is not None
        if given:
            words = f"Use the organisation’s ({desk.over.name})"
        elif part == "sender_name":
            words = "Use the installation’s sender"
        else:
            words = "Use the neutral default"
        note = f"{desk.over.name} has set none." if of_service and desk.over.name and not given else None
        found[part] = [(INHERITED, words, note), (OWN, *own)]
    found["logo"].append((NONE, "No logo", None))
    return found


ROUTES = [show, save, look, preview]
