"""Versions: the list, one of them, the differences between two in source and rendered, and the way back to one."""

from collections.abc import Sequence
from textwrap import shorten
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.branding import logos
from backend.db import database as db
from backend.lib import inputs, languages
from backend.portal import access
from backend.portal.access import Workspace
from backend.portal.forms import Sent
from backend.portal.pages import go, page
from backend.portal.security import PREVIEW_POLICY
from backend.portal.templates_pages import as_code, links
from backend.portal.templates_pages.renditions import renditions
from backend.publishing import publish, sources
from backend.registry import comparison, drafts, lookup, provenance, samples, templates
from backend.registry.drafts import Key
from backend.registry.samples import Sample, SampleFault
from backend.registry.templates import LAST_VERSION, TemplateContent
from backend.rendering.model import Source, TemplateWarning
from backend.reports import template_preview
from backend.reports.template_preview import Preview

_PAGE = 20
DRAFT = "draft"
_LONGEST_WARNING = 300


class Text(msgspec.Struct, frozen=True):
    """A version, with the partials that it was published with in ``source``, or the draft; ``by`` wrote it."""

    content: TemplateContent
    by: str
    source: Source | None = None


class Side(msgspec.Struct, frozen=True):
    """One side of a comparison: ``which`` is a version's number or ``draft``."""

    which: str
    label: str
    content: TemplateContent
    by: str
    preview: Preview


class RollBackForm(msgspec.Struct, kw_only=True):
    """The version whose text is to be published again."""

    version: int


@get("/templates/{identifier:str}/versions", sync_to_thread=True)
def index(
    workspace: NamedDependency[Workspace], identifier: FromPath[str], before: FromQuery[int | None] = None
) -> Response[Any]:
    """List the versions, the newest first."""
    with db.current().read() as reading:
        record = templates.get(reading, workspace.service_id, identifier)
        found = templates.versions(reading, workspace.service_id, identifier, _PAGE + 1, inputs.bounded(before))
        draft = drafts.working(reading, Key(workspace.service_id, identifier))
    address = f"templates/{identifier}/versions"
    older = workspace.address(address, before=found[_PAGE - 1].version) if len(found) > _PAGE else None
    return page(
        "templates/versions.html",
        workspace.viewer,
        current="templates",
        workspace=workspace,
        record=record,
        identifier=identifier,
        as_code=as_code.of(workspace, identifier),
        versions=found[:_PAGE],
        draft=draft if draft.revision else None,
        older=older,
        newest=workspace.address(address) if before is not None else None,
    )


@get("/templates/{identifier:str}/versions/{which:str}", sync_to_thread=True)
def show(
    workspace: NamedDependency[Workspace], identifier: FromPath[str], which: FromPath[str], sample: FromQuery[str] = ""
) -> Response[Any]:
    """Show one version: its source and how it looks with a sample."""
    number = _number(which)
    with db.current().read() as reading:
        record = templates.get(reading, workspace.service_id, identifier)
        version = templates.version(reading, workspace.service_id, identifier, number)
        text = _text(reading, workspace, identifier, which)
        found = samples.of(reading, drafts.working(reading, Key(workspace.service_id, identifier)).template_id)
    preview = _preview(workspace, text, found, sample)
    return page(
        "templates/version.html",
        workspace.viewer,
        current="templates",
        workspace=workspace,
        record=record,
        identifier=identifier,
        as_code=as_code.of(workspace, identifier),
        version=version,
        samples=found,
        sample=sample,
        preview=preview,
        views=renditions(preview.rendered, preview.size) if preview.rendered else None,
        frame_address=workspace.address(f"templates/{identifier}/versions/{number}/frame", sample=sample or None),
    )


@get("/templates/{identifier:str}/versions/{which:str}/frame", sync_to_thread=True)
def frame(
    workspace: NamedDependency[Workspace], identifier: FromPath[str], which: FromPath[str], sample: FromQuery[str] = ""
) -> Response[str]:
    """Serve the HTML of a version, or of the draft, rendered with a sample, for the sandboxed frame."""
    html = _rendered(workspace, identifier, which, sample)
    if html is None:
        raise NotFoundException
    address = workspace.address(f"templates/{identifier}/versions/{which}/links")
    shown = links.on_purpose(logos.embedded(html), address, f"?{urlencode({'sample': sample})}" if sample else "")
    return Response(shown, media_type="text/html", headers={"Content-Security-Policy": PREVIEW_POLICY})


@get("/templates/{identifier:str}/versions/{which:str}/links/{number:int}", sync_to_thread=True)
def link(
    workspace: NamedDependency[Workspace],
    identifier: FromPath[str],
    which: FromPath[str],
    number: FromPath[int],
    sample: FromQuery[str] = "",
) -> Response[Any]:
    """Show where a link of a version leads."""
    return links.shown(workspace, _rendered(workspace, identifier, which, sample), number, identifier)


def _rendered(workspace: Workspace, identifier: str, which: str, sample: str) -> str | None:
    with db.current().read() as reading:
        text = _text(reading, workspace, identifier, which)
        found = samples.of(reading, drafts.working(reading, Key(workspace.service_id, identifier)).template_id)
    preview = _preview(workspace, text, found, sample)
    return preview.rendered.html if preview.rendered else None


@get("/templates/{identifier:str}/compare", sync_to_thread=True)
def compare(
    workspace: NamedDependency[Workspace],
    identifier: FromPath[str],
    old: FromQuery[str] = "",
    new: FromQuery[str] = "",
    view: FromQuery[Literal["changes", "whole", "rendered"]] = "changes",
) -> Response[Any]:
    """Set two versions, or a version and the draft, side by side: by default the two newest texts."""
    with db.current().read() as reading:
        record = templates.get(reading, workspace.service_id, identifier)
        numbers = [one.version for one in templates.versions(reading, workspace.service_id, identifier, 200)]
        working = drafts.working(reading, Key(workspace.service_id, identifier))
        choices = ([DRAFT] if working.revision else []) + [str(number) for number in numbers]
        new = new or choices[0]
        old = old or choices[min(1, len(choices) - 1)]
        found = samples.of(reading, working.template_id)
        sides = [_side(reading, workspace, identifier, which, found) for which in (old, new)]
    context = None if view == "whole" else comparison.CONTEXT
    texts = [one.content for one in sides]
    return page(
        "templates/compare.html",
        workspace.viewer,
        current="templates",
        workspace=workspace,
        record=record,
        sides=sides,
        choices=[(which, _label(which)) for which in choices],
        view=view,
        rows=comparison.compare(texts[0].source, texts[1].source, context=context),
        settings=_settings(*texts),
    )


@post("/templates/{identifier:str}/roll-back", guards=[access.editors, access.unlocked], sync_to_thread=True)
def roll_back(
    workspace: NamedDependency[Workspace],
    identifier: FromPath[str],
    data: Sent[RollBackForm],
) -> Response[Any]:
    """Publish an old version's content as a new version; a draft stays as it is."""
    with db.current().read() as reading:
        old = templates.version(reading, workspace.service_id, identifier, data.version)
        planned = publish.plan(reading, workspace.service_id, identifier, old.content)
        provenance.check_unlocked(reading, workspace.service_id, [one.record.identifier for one in planned.users])
    warnings = publish.check(planned, workspace.share)
    with db.current().transaction() as transaction:
        record, _, anew = publish.put(
            transaction,
            workspace.service_id,
            planned,
            workspace.viewer.email,
            lambda: templates.put(
                transaction, workspace.service_id, identifier, old.content, workspace.viewer.email, pins=planned.pins
            ),
        )
        detail = {"version": record.version, "content_of": data.version, "published_anew": len(anew)}
        audit.record(
            transaction,
            workspace.actor,
            "template.rolled_back",
            identifier,
            service_id=workspace.service_id,
            detail=detail,
        )
    done = f"Version {record.version} is published, with the content of version {data.version}.{_told(warnings)}"
    return go(workspace.address(f"templates/{identifier}/versions"), done=done)


def _told(warnings: Sequence[TemplateWarning]) -> str:
    """Say how many warnings there are, and the first of them; the editor shows all."""
    if not warnings:
        return ""
    first, many = warnings[0], "s" if len(warnings) > 1 else ""
    detail = shorten(first.detail, _LONGEST_WARNING, placeholder="…")
    return f" {len(warnings)} warning{many}. {f'Line {first.line}: ' if first.line else ''}{detail}"


def _text(reading: Session, workspace: Workspace, identifier: str, which: str) -> Text:
    """Return the text of a version or of the draft."""
    if which == DRAFT:
        working = drafts.working(reading, Key(workspace.service_id, identifier))
        return Text(working.content, working.updated_by)
    version = templates.version(reading, workspace.service_id, identifier, _number(which))
    found = lookup.versions(reading, [version.version_id])[version.version_id]
    return Text(version.content, version.created_by, sources.source_of_version(found))


def _number(which: str) -> int:
    found = inputs.number(which, LAST_VERSION)
    if found is None:
        raise NotFoundException
    return found


def _side(reading: Session, workspace: Workspace, identifier: str, which: str, found: list[Sample]) -> Side:
    text = _text(reading, workspace, identifier, which)
    return Side(which, _label(which), text.content, text.by, _preview(workspace, text, found, ""))


def _label(which: str) -> str:
    return "Draft" if which == DRAFT else f"Version {which}"


def _preview(workspace: Workspace, text: Text, found: list[Sample], name: str) -> Preview:
    """Render a text with the sample of this name, or the first, or the version's own fields."""
    content = text.content
    fields: Any = content.sample_fields if content.sample_fields is not None else {}
    chosen = next((one for one in found if one.name == name), found[0] if found else None)
    if chosen is not None:
        try:
            fields = samples.read(chosen.text)
        except SampleFault:
            fields = {}
    batch = isinstance(fields, list)
    return template_preview.preview(content, fields, workspace.share, batch=batch, source=text.source)


def _settings(old: TemplateContent, new: TemplateContent) -> list[tuple[str, str, str]]:
    """List what differs beside the source: name, subject, format and batch settings."""
    pairs = [
        ("Name", old.name, new.name),
        ("Format", old.format, new.format),
        ("Subject", old.subject or "none", new.subject or "none"),
        ("Batches", _batch(old), _batch(new)),
        ("New again after", old.repeat_after or "never", new.repeat_after or "never"),
        ("Own language", old.language or "the service’s", new.language or "the service’s"),
        *(
            (f"Text in {languages.name(tag)}", _variant(old, tag), _variant(new, tag))
            for tag in sorted(old.variants.keys() | new.variants.keys())
        ),
        ("Sender", old.sender or "the default", new.sender or "the default"),
        ("Answers go to", old.reply_to or "the default", new.reply_to or "the default"),
    ]
    return [(label, before, after) for label, before, after in pairs if before != after]


def _variant(content: TemplateContent, tag: str) -> str:
    one = content.variants.get(tag)
    return "none" if one is None else f"{one.subject or ''}\n{one.source}".strip()


def _batch(content: TemplateContent) -> str:
    given = content.batch or {}
    words = {
        "quiet_seconds": "quiet time",
        "max_wait_seconds": "longest wait",
        "max_items": "most items",
        "digest": "at",
        "item_key": "items known by",
    }
    shown = {name: value if isinstance(value, str) else f"{value:g}" for name, value in given.items() if name in words}
    said = [f"{words[name]} {value}" for name, value in shown.items()]
    said += ["only if something is new"] if given.get("only_if_new") else []
    return ", ".join(said) or "as the installation says"


ROUTES = [index, show, frame, link, compare, roll_back]
