"""``/registry/v1/templates``: the templates of the client's service, their versions and previews."""

from contextlib import nullcontext
from functools import lru_cache
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec
from anyio import to_thread
from litestar import Controller, Request, Response, delete, get, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter
from pydantic import Field
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.api import bodies, errors, parameters
from backend.api import template_answers as answers
from backend.api.guards import bearer, principal
from backend.api.parameters import Cursor, Limit
from backend.api.template_answers import (
    Beside,
    ChangesAnswer,
    SampleAnswer,
    TemplateAnswer,
    TemplatePage,
    TemplatePreview,
    VersionPage,
)
from backend.batching import keys
from backend.channels.sms_segments import segments
from backend.db import database as db
from backend.db.models.notifications import OTHER_LANGUAGE
from backend.lib import strict_json
from backend.lib.fair_pool import Share
from backend.lib.problems import FieldError, Problem
from backend.lib.strict_json import LanguageTag, Shape
from backend.publishing import chosen_senders, publish, sources, variants
from backend.registry import languages, lookup, owned, provenance, samples, template_lists, template_usage, templates
from backend.registry.lookup import FoundTemplate
from backend.registry.shapes import Fields, TemplateShape
from backend.registry.templates import TemplateContent, TemplateRecord
from backend.rendering.clipping import clipped
from backend.rendering.memory import with_example
from backend.rendering.model import RenderJob, Source, TemplateWarning
from backend.rendering.pool import PREVIEWS

TemplateId = Annotated[
    str,
    Parameter(
        description="The template's identifier, unique in the installation.", schema_extra={"pattern": owned.PATTERN}
    ),
]
_OF_SAMPLE = frozenset({"clipped", "no_sample"})
_FOR_TEXT_MESSAGES = frozenset({"text", "markdown"})
# Sources may be 256 KiB each, so a page of versions is kept shorter than other pages.
VersionLimit = Annotated[int, Parameter(ge=1, le=20, description="How many versions to answer at most.")]


class PreviewShape(Shape):
    """What to render a preview with: an object, or, for ``BATCH``, one object for each buffered notification."""

    fields: Fields
    priority: Literal["NORMAL", "HIGH", "BATCH"] = "NORMAL"
    language: Annotated[
        LanguageTag | None,
        Field(description="Which variant to show, chosen as for a recipient of this language."),
    ] = None


def published(
    service_id: int, client_id: str, identifier: str, content: TemplateContent
) -> tuple[TemplateRecord, list[TemplateWarning], bool]:
    """Check a template, publish it, and tell whether it is new; what is only doubtful comes back as warnings.

    Raises:
        Problem: ``invalid_template`` with line and reason, or what ``templates.put`` raises.
    """
    owned.check_identifier(identifier)
    share = Share(service_id)
    with db.current().read() as session:
        planned = publish.plan(session, service_id, identifier, content)
    whole = planned.users or planned.variants
    checked = publish.check(planned, share) if whole else _checked(planned.source, _encoded(content), share)
    warnings = list(checked)
    with db.current().transaction() as session:
        before = templates.present(session, service_id, identifier)
        record, created, anew = publish.put(
            session,
            service_id,
            planned,
            client_id,
            lambda: templates.put(session, service_id, identifier, content, client_id, pins=planned.pins),
        )
        by = Actor("client", client_id)
        unchanged = before is not None and before.version_id == record.version_id
        for one in () if unchanged else (record, *anew):
            detail = {"version": one.version}
            audit.record(session, by, "template.published", one.identifier, service_id=service_id, detail=detail)
    return record, [*warnings, *keys.warnings(content.batch)], created


@lru_cache(maxsize=64)
def _checked(source: Source, sample: bytes, share: Share) -> tuple[TemplateWarning, ...]:
    """Check a text with sample fields, encoded so that it can be remembered: the same text is checked once."""
    fields = msgspec.json.decode(sample)
    return tuple(PREVIEWS.check(source, fields, share, batch=isinstance(fields, list)))


def _encoded(content: TemplateContent) -> bytes:
    return msgspec.json.encode(content.sample_fields)


def _warnings(service_id: int, record: TemplateRecord) -> list[TemplateWarning]:
    """Return the warnings of a stored template; what would now be refused stays published and is warned of."""
    content = record.content
    try:
        found = _published(record)
        source = sources.source_of_version(found)
        checked = list(_checked(source, _encoded(content), Share(service_id)))
        for one in found.variants:
            own, spoken = sources.source_of_version(one), content.spoken()[one.language]
            told = [*_checked(own, _encoded(spoken), Share(service_id)), *variants.other_fields(source, own)]
            checked += [variants.told(one.language, warning) for warning in told]
    except Problem as problem:
        checked = [TemplateWarning(None, problem.code, problem.detail)]
    with db.current().read() as session:
        gone = [
            TemplateWarning(None, one.code, one.detail) for one in chosen_senders.faults(session, service_id, content)
        ]
    return [*checked, *gone, *keys.warnings(content.batch)]


def _published(record: TemplateRecord) -> FoundTemplate:
    with db.current().read() as session:
        return lookup.versions(session, [record.version_id])[record.version_id]


def content_of(body: TemplateShape) -> TemplateContent:
    """Return what a body says."""
    batch = body.batch.given() if body.batch else None
    return templates.said_by(body, batch=batch, variants=body.variants_by_language())


def _answer(service_id: int, record: TemplateRecord, warnings: list[TemplateWarning]) -> TemplateAnswer:
    with db.current().read() as session:
        row = templates.row_id(session, service_id, record.identifier)
        beside = Beside(
            templates.made_with(session, service_id, record.identifier),
            _samples(session, row) if row is not None else [],
            provenance.standing(session, service_id, record.identifier),
            provenance.locked(session, service_id, record.identifier),
        )
    return answers.answer(record, beside, warnings)


def _samples(session: Session, template_id: int) -> list[SampleAnswer]:
    found = samples.of_all(session, template_id)
    return [SampleAnswer(one.name, samples.read(one.text), one.language or None) for one in found]


def _store(service_id: int, client_id: str, identifier: str, body: TemplateShape) -> Response[TemplateAnswer]:
    record, warnings, created = published(service_id, client_id, identifier, content_of(body))
    return Response(_answer(service_id, record, warnings), status_code=201 if created else 200)


def _preview(service_id: int, identifier: str, body: PreviewShape) -> TemplatePreview:
    batch = body.priority == "BATCH"
    fields = [body.fields] if batch and isinstance(body.fields, dict) else body.fields
    if not batch and isinstance(fields, list):
        raise strict_json.invalid(
            [FieldError("/fields", "invalid_type", "Must be an object; an array is for BATCH alone.")]
        )
    with db.current().read() as session:
        record = templates.get(session, service_id, identifier)
        default = sources.mail_settings(session, service_id).language
    choice = languages.choose(_published(record), (body.language,), default)
    version = choice.template
    job = with_example(RenderJob(f"tv:{version.version_id}", sources.source_of_version(version), fields, batch))
    rendered = PREVIEWS.render(job, Share(service_id))
    counted = segments(rendered.text) if record.content.format in _FOR_TEXT_MESSAGES else None
    # The size is that of this message, not of the one with the sample fields; and these fields are a sample.
    told = [one for one in _warnings(service_id, record) if one.code not in _OF_SAMPLE]
    missed = [TemplateWarning(None, OTHER_LANGUAGE, choice.sentence("this preview"))] if choice.missing else []
    warnings = [*missed, *told, *clipped(rendered)]
    return TemplatePreview(rendered.subject, rendered.html, rendered.text, version.language, warnings, counted)


def _changes(service_id: int, identifier: str, body: TemplateShape) -> ChangesAnswer:
    content, share = content_of(body), Share(service_id)
    with db.current().read() as session:
        templates.get(session, service_id, identifier)  # what is not there yet is used by nothing
        planned = publish.plan(session, service_id, identifier, content)
    for tag, source in (("", planned.source), *planned.variants.items()):
        with variants.at(tag) if tag else nullcontext():
            PREVIEWS.check(source, None, share)
    found = publish.changes(planned.users, share)
    return ChangesAnswer([answers.change(one) for one in found])


class Templates(Controller):
    """Templates."""

    path = "/registry/v1/templates"
    tags = ("Templates",)
    guards = (bearer,)

    @put(
        "/{template_id:str}",
        operation_id="putTemplate",
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
        operation_id="getTemplate",
        summary="Read a template",
        opt={"scope": "registry:read"},
        responses=errors.documented(400, 401, 403, 404, 429, 503),
        sync_to_thread=True,
    )
    def show(self, request: Request[Any, Any, Any], template_id: TemplateId) -> TemplateAnswer:
        """Return one template with its published version."""
        with db.current().read() as session:
            record = templates.get(session, principal(request).service_id, template_id)
        service_id = principal(request).service_id
        return _answer(service_id, record, _warnings(service_id, record))

    @get(
        operation_id="listTemplates",
        summary="List templates",
        opt={"scope": "registry:read", "query": ("limit", "cursor")},
        responses=errors.documented(400, 401, 403, 429, 503),
        sync_to_thread=True,
    )
    def index(self, request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None) -> TemplatePage:
        """Return a page of templates, without their texts."""
        after = parameters.after(cursor, str)
        with db.current().read() as session:
            found = template_lists.page(session, principal(request).service_id, limit + 1, after)
        return TemplatePage(*parameters.cut(found, limit, attrgetter("identifier")))

    @get(
        "/{template_id:str}/versions",
        operation_id="listTemplateVersions",
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
        before = parameters.after(cursor, int)
        with db.current().read() as session:
            found = templates.versions(session, principal(request).service_id, template_id, limit + 1, before)
        shown, more = parameters.cut(found, limit, attrgetter("version"))
        return VersionPage([answers.version(record) for record in shown], more)

    @post(
        "/{template_id:str}/preview",
        status_code=200,
        operation_id="previewTemplate",
        summary="Preview a template",
        description="Renders the published version; nothing is sent.",
        opt={"scope": "registry:read", "body": PreviewShape},
        responses=errors.documented(400, 401, 403, 404, 413, 415, 422, 429, 503),
    )
    async def preview(self, request: Request[Any, Any, Any], template_id: TemplateId) -> TemplatePreview:
        """Return what the template makes of the fields."""
        caller = principal(request)
        body = await bodies.read(request, PreviewShape)
        return await to_thread.run_sync(_preview, caller.service_id, template_id, body)

    @post(
        "/{template_id:str}/changes",
        status_code=200,
        operation_id="previewTemplateChanges",
        summary="See what publishing would change",
        description=(
            "The body is that of publishing; nothing is stored. Answers every template that is made with this partial "
            "or layout, with the message of its sample fields before and after."
        ),
        opt={"scope": "registry:read", "body": TemplateShape},
        responses=errors.documented(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
    )
    async def changes(self, request: Request[Any, Any, Any], template_id: TemplateId) -> ChangesAnswer:
        """Return what publishing a text would change beside itself."""
        caller = principal(request)
        owned.check_identifier(template_id)
        body = await bodies.read(request, TemplateShape)
        return await to_thread.run_sync(_changes, caller.service_id, template_id, body)

    @delete(
        "/{template_id:str}",
        operation_id="deleteTemplate",
        summary="Delete a template",
        description="Its identifier stays reserved for the service; storing it again revives it.",
        opt={"scope": "registry:write"},
        responses=errors.documented(400, 401, 403, 404, 409, 429, 503),
        sync_to_thread=True,
    )
    def remove(self, request: Request[Any, Any, Any], template_id: TemplateId) -> None:
        """Delete one template."""
        caller = principal(request)
        with db.current().transaction() as session:
            publish.check_unused(session, caller.service_id, template_id)
            template_usage.check_unscheduled(session, caller.service_id, template_id)
            templates.delete(session, caller.service_id, template_id)
            by = Actor("client", caller.client_id)
            audit.record(session, by, "template.deleted", template_id, service_id=caller.service_id)


ROUTES = [Templates]
