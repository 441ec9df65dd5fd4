"""``/registry/v1/templates``: the templates of the client's service, their versions and previews."""

from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from anyio import to_thread
from litestar import Controller, Request, Response, delete, get, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.api import bodies, errors, parameters
from backend.api.guards import bearer, principal
from backend.api.parameters import Cursor, Limit
from backend.batching import keys
from backend.channels.sms_segments import Segments, segments
from backend.db import session
from backend.lib import shapes
from backend.lib.problems import FieldError, Problem
from backend.lib.shapes import Shape
from backend.registry import owned, templates
from backend.registry.shapes import Fields, TemplateShape
from backend.registry.templates import TemplateContent, TemplateRecord, TemplateSummary, VersionRecord
from backend.rendering.clipping import clipped
from backend.rendering.model import Format, RenderJob, Source, TemplateWarning
from backend.rendering.pool import PREVIEWS

TemplateId = Annotated[
    str,
    Parameter(
        description="The template's identifier, unique in the installation.", schema_extra={"pattern": owned.PATTERN}
    ),
]
_FOR_TEXT_MESSAGES = frozenset({"text", "markdown"})
# Sources may be 256 KiB each, so a page of versions is kept shorter than other pages.
VersionLimit = Annotated[int, Parameter(ge=1, le=20, description="How many versions to answer at most.")]


class BatchAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a batch of this template goes out; an absent member follows the installation's settings."""

    quiet_seconds: float | None = None
    max_wait_seconds: float | None = None
    max_items: int | None = None


class TemplateAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A template with its published version, and what its author should look at; lines count from 1."""

    identifier: str
    name: str
    format: Format
    version: int
    source: str
    subject: str | None
    sample_fields: dict[str, Any] | list[dict[str, Any]] | None
    batch: BatchAnswer | None
    created_at: datetime
    updated_at: datetime
    warnings: list[TemplateWarning]


class TemplatePage(msgspec.Struct, frozen=True):
    """Templates in order of identifier; ``next_cursor`` leads to the following page and is null on the last."""

    templates: list[TemplateSummary]
    next_cursor: str | None


class VersionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One published version; ``created_by`` is the client or user that published it."""

    version: int
    name: str
    format: Format
    source: str
    subject: str | None
    sample_fields: dict[str, Any] | list[dict[str, Any]] | None
    batch: BatchAnswer | None
    created_at: datetime
    created_by: str


class VersionPage(msgspec.Struct, frozen=True):
    """Versions, newest first; ``next_cursor`` leads to the following page and is null on the last."""

    versions: list[VersionAnswer]
    next_cursor: str | None


class PreviewShape(Shape):
    """What to render a preview with: an object, or, for ``BATCH``, one object for each buffered notification."""

    fields: Fields
    priority: Literal["NORMAL", "HIGH", "BATCH"] = "NORMAL"


class PreviewAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rendered template; ``html`` is null where the format has none.

    ``segments`` tells how it would be cut into parts as a text message; it comes with the formats text and markdown.
    """

    subject: str | None
    html: str | None
    text: str
    warnings: list[TemplateWarning]
    segments: Segments | None = None


def published(
    service_id: int, client_id: str, identifier: str, content: TemplateContent
) -> tuple[TemplateRecord, list[TemplateWarning], bool]:
    """Check a template, publish it, and tell whether it is new; what is only doubtful comes back as warnings.

    Raises:
        Problem: ``invalid_template`` with line and reason, or what ``templates.put`` raises.
    """
    owned.check_identifier(identifier)
    warnings = _checked(msgspec.json.encode(content))
    with session.current().write() as db:
        before = templates.present(db, service_id, identifier)
        record, created = templates.put(db, service_id, identifier, content, client_id)
        if before is None or before.version_id != record.version_id:
            detail = {"version": record.version}
            by = Actor("client", client_id)
            audit.record(db, by, "template.published", identifier, service_id=service_id, detail=detail)
    return record, [*warnings, *keys.warnings(content.batch)], created


@lru_cache(maxsize=64)
def _checked(encoded: bytes) -> tuple[TemplateWarning, ...]:
    """Check a content, encoded so that it can be remembered: the same content is checked once."""
    content = msgspec.json.decode(encoded, type=TemplateContent)
    sample = content.sample_fields
    return tuple(PREVIEWS.check(_source(content), sample, batch=isinstance(sample, list)))


def _warnings(content: TemplateContent) -> list[TemplateWarning]:
    """Return the warnings of a stored content; what would now be refused stays published and is warned of."""
    try:
        checked = list(_checked(msgspec.json.encode(content)))
    except Problem as problem:
        checked = [TemplateWarning(None, problem.code, problem.detail)]
    return [*checked, *keys.warnings(content.batch)]


def _source(content: TemplateContent) -> Source:
    return Source(msgspec.convert(content.format, Format), content.source, content.subject)


def _content(body: TemplateShape) -> TemplateContent:
    return TemplateContent(
        name=body.name,
        format=body.format,
        source=body.source,
        subject=body.subject,
        sample_fields=body.sample_fields,
        batch=body.batch.given() if body.batch else None,
    )


def _common(content: TemplateContent) -> dict[str, Any]:
    batch = BatchAnswer(**content.batch) if content.batch else None
    return msgspec.structs.asdict(content) | {"batch": batch}


def _answer(record: TemplateRecord, warnings: list[TemplateWarning]) -> TemplateAnswer:
    return TemplateAnswer(
        identifier=record.identifier,
        version=record.version,
        created_at=record.created_at,
        updated_at=record.updated_at,
        warnings=warnings,
        **_common(record.content),
    )


def _version(record: VersionRecord) -> VersionAnswer:
    return VersionAnswer(
        version=record.version,
        created_at=record.created_at,
        created_by=record.created_by,
        **_common(record.content),
    )


def _store(service_id: int, client_id: str, identifier: str, body: TemplateShape) -> Response[TemplateAnswer]:
    record, warnings, created = published(service_id, client_id, identifier, _content(body))
    return Response(_answer(record, warnings), status_code=201 if created else 200)


def _preview(service_id: int, identifier: str, body: PreviewShape) -> PreviewAnswer:
    batch = body.priority == "BATCH"
    fields = [body.fields] if batch and isinstance(body.fields, dict) else body.fields
    if not batch and isinstance(fields, list):
        raise shapes.invalid([FieldError("/fields", "invalid_type", "Must be an object; an array is for BATCH alone.")])
    with session.current().read() as db:
        record = templates.get(db, service_id, identifier)
    rendered = PREVIEWS.render(RenderJob(f"tv:{record.version_id}", _source(record.content), fields, batch))
    counted = segments(rendered.text) if record.content.format in _FOR_TEXT_MESSAGES else None
    # The size is that of this message, not of the one with the sample fields.
    warnings = [one for one in _warnings(record.content) if one.code != "clipped"] + clipped(rendered)
    return PreviewAnswer(rendered.subject, rendered.html, rendered.text, warnings, counted)


class Templates(Controller):
    """Templates."""

    path = "/registry/v1/templates"
    tags = ("Templates",)
    guards = (bearer,)

    @put(
        "/{template_id:str}",
        summary="Publish a template",
        description="New content is a new version, published at once; the same content again changes nothing.",
        opt={"scope": "registry:write", "body": TemplateShape},
        responses={201: ResponseSpec(data_container=TemplateAnswer, description="Created")}
        | errors.documented(400, 401, 403, 409, 413, 415, 422, 429, 503),
    )
    async def store(self, request: Request[Any, Any, Any], template_id: TemplateId) -> Response[TemplateAnswer]:
        """Publish a template: 201 when it is new, 200 otherwise."""
        caller = principal(request)
        owned.check_identifier(template_id)
        body = await bodies.read(request, TemplateShape)
        return await to_thread.run_sync(_store, caller.service_id, caller.client_id, template_id, body)

    @get(
        "/{template_id:str}",
        summary="Read a template",
        opt={"scope": "registry:read"},
        responses=errors.documented(400, 401, 403, 404, 429, 503),
        sync_to_thread=True,
    )
    def show(self, request: Request[Any, Any, Any], template_id: TemplateId) -> TemplateAnswer:
        """Return one template with its published version."""
        with session.current().read() as db:
            record = templates.get(db, principal(request).service_id, template_id)
        return _answer(record, _warnings(record.content))

    @get(
        summary="List templates",
        opt={"scope": "registry:read", "query": ("limit", "cursor")},
        responses=errors.documented(400, 401, 403, 429, 503),
        sync_to_thread=True,
    )
    def index(self, request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None) -> TemplatePage:
        """Return a page of templates, without their texts."""
        after = parameters.read_cursor(cursor, str)[0] if cursor is not None else None
        with session.current().read() as db:
            found = templates.page(db, principal(request).service_id, limit + 1, after)
        more = parameters.write_cursor(found[limit - 1].identifier) if len(found) > limit else None
        return TemplatePage(found[:limit], more)

    @get(
        "/{template_id:str}/versions",
        summary="List a template's versions",
        opt={"scope": "registry:read", "query": ("limit", "cursor")},
        responses=errors.documented(400, 401, 403, 404, 429, 503),
        sync_to_thread=True,
    )
    def history(
        self,
        request: Request[Any, Any, Any],
        template_id: TemplateId,
        limit: VersionLimit = 20,
        cursor: Cursor = None,
    ) -> VersionPage:
        """Return a page of versions, newest first."""
        before = parameters.read_cursor(cursor, int)[0] if cursor is not None else None
        with session.current().read() as db:
            found = templates.versions(db, principal(request).service_id, template_id, limit + 1, before)
        more = parameters.write_cursor(found[limit - 1].version) if len(found) > limit else None
        return VersionPage([_version(record) for record in found[:limit]], more)

    @post(
        "/{template_id:str}/preview",
        status_code=200,
        summary="Preview a template",
        description="Renders the published version; nothing is sent.",
        opt={"scope": "registry:read", "body": PreviewShape},
        responses=errors.documented(400, 401, 403, 404, 413, 415, 422, 429, 503),
    )
    async def preview(self, request: Request[Any, Any, Any], template_id: TemplateId) -> PreviewAnswer:
        """Return what the template makes of the fields."""
        caller = principal(request)
        body = await bodies.read(request, PreviewShape)
        return await to_thread.run_sync(_preview, caller.service_id, template_id, body)

    @delete(
        "/{template_id:str}",
        summary="Delete a template",
        description="Its identifier stays reserved for the service; storing it again revives it.",
        opt={"scope": "registry:write"},
        responses=errors.documented(400, 401, 403, 404, 429, 503),
        sync_to_thread=True,
    )
    def remove(self, request: Request[Any, Any, Any], template_id: TemplateId) -> None:
        """Delete one template."""
        caller = principal(request)
        with session.current().write() as db:
            templates.delete(db, caller.service_id, template_id)
            by = Actor("client", caller.client_id)
            audit.record(db, by, "template.deleted", template_id, service_id=caller.service_id)


ROUTES = [Templates]
