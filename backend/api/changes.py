"""``/registry/v1/changes``: many templates and recipients of the client's service changed at once, or none of them."""

import re
from typing import Annotated, Any, Literal

import msgspec
from anyio import to_thread
from litestar import Request, post
from litestar.params import Parameter
from pydantic import Field

from backend.accounts.access import Principal
from backend.accounts.audit import Actor
from backend.api import bodies, errors
from backend.api import template_answers as answers
from backend.api.guards import bearer, principal
from backend.api.template_answers import ChangeAnswer
from backend.api.templates import content_of
from backend.batching import keys
from backend.db import database as db
from backend.lib.fair_pool import Share
from backend.lib.strict_json import LanguageTag, Shape
from backend.publishing import change_set, publish_changes
from backend.publishing.change_set import ChangePlan, TemplateStep, Wanted, WantedRecipient, WantedTemplate
from backend.publishing.publish_changes import Checked
from backend.registry import owned, provenance, samples
from backend.registry.lookup import Address
from backend.registry.provenance import CodeStanding, Lock, Provenance
from backend.registry.samples import MAX_NAME, MAX_SAMPLES, Sample
from backend.registry.shapes import Fields, RecipientShape, TemplateShape
from backend.registry.templates import TemplateRecord
from backend.rendering.model import TemplateWarning

_MOST = 500
_SECRETS = re.compile(r"(?<=://)[^/@\s]*@")
Identifier = Annotated[str, Field(pattern=owned.PATTERN)]
DryRun = Annotated[
    Literal["", "true", "false"],
    Parameter(description="`true`, or no value at all: answer what the change would do, and store nothing."),
]


class NamedSampleShape(Shape):
    """Sample data under a name."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    fields: Fields
    language: Annotated[LanguageTag | None, Field(description="The variant that it is for; none is for all.")] = None


class ChangedTemplateShape(TemplateShape):
    """A template as it is to be; with ``samples``, the first of them are its sample fields, and its variants'."""

    identifier: Identifier
    samples: Annotated[list[NamedSampleShape], Field(max_length=MAX_SAMPLES)] | None = None
    locked: Annotated[
        bool | None, Field(description="Whether people may not change it in the portal; without it, that stays.")
    ] = None


class ChangedRecipientShape(RecipientShape):
    """A recipient as it is to be."""

    identifier: Identifier


class DeletedShape(Shape):
    """What is to be deleted."""

    templates: Annotated[list[Identifier], Field(max_length=_MOST, default_factory=list)]
    recipients: Annotated[list[Identifier], Field(max_length=_MOST, default_factory=list)]


class ChangeSetShape(Shape):
    """A change of many things; ``message`` is kept as the note of the versions, with the commit that they come from."""

    message: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    commit: Annotated[str, Field(pattern=r"^[0-9A-Za-z._-]{1,64}$")] | None = None
    repository: Annotated[str, Field(min_length=1, max_length=300)] | None = None
    templates: Annotated[list[ChangedTemplateShape], Field(max_length=_MOST, default_factory=list)]
    recipients: Annotated[list[ChangedRecipientShape], Field(max_length=_MOST, default_factory=list)]
    delete: Annotated[DeletedShape, Field(default_factory=DeletedShape)]


class TemplateOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a template; ``version`` is the published one: that of before in a dry run, null for a new one.

    ``code`` says how it stood to its repository before, ``lock`` who keeps it from being changed in the portal.
    ``relocked`` is true where the change locks it, false where it unlocks it.
    """

    identifier: str
    change: Literal["new", "changed", "same", "deleted"]
    version: int | None
    warnings: list[TemplateWarning] = []
    code: CodeStanding | None = None
    lock: Lock | None = None
    relocked: bool | None = None


class RecipientOutcome(msgspec.Struct, frozen=True):
    """What becomes of a recipient."""

    identifier: str
    change: Literal["new", "changed", "same", "deleted"]


class ChangeSetAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a change does, or would do; ``rendered`` are templates published anew because of partials in it."""

    dry_run: bool
    templates: list[TemplateOutcome]
    rendered: list[ChangeAnswer]
    recipients: list[RecipientOutcome]


def _wanted(body: ChangeSetShape) -> Wanted:
    repository = _SECRETS.sub("", body.repository) if body.repository else None
    return Wanted(
        templates=[_template(one) for one in body.templates],
        recipients=[_recipient(one) for one in body.recipients],
        gone_templates=body.delete.templates,
        gone_recipients=body.delete.recipients,
        said=Provenance(note=body.message, by_code=True, commit=body.commit, repository=repository),
    )


def _template(body: ChangedTemplateShape) -> WantedTemplate:
    content = content_of(body)
    if body.samples is None:
        return WantedTemplate(body.identifier, content, None, body.locked)
    found = tuple(Sample(one.name, samples.write(one.fields), one.language or "") for one in body.samples)
    first = {one.language or "": one.fields for one in reversed(body.samples)}
    return WantedTemplate(body.identifier, content.sampled(first.get(""), first), found, body.locked)


def _recipient(body: ChangedRecipientShape) -> WantedRecipient:
    addresses = tuple(Address(one.type.value, one.address) for one in body.endpoints)
    return WantedRecipient(body.identifier, body.name, addresses, body.language)


def _apply(caller: Principal, body: ChangeSetShape, *, dry_run: bool) -> ChangeSetAnswer:
    service_id = caller.service_id
    with db.current().read() as session:
        planned = change_set.plan(session, service_id, _wanted(body))
        names = [one.identifier for one in planned.templates]
        standings, locks = (
            provenance.standings(session, service_id, names),
            provenance.locks(session, service_id, names),
        )
        relocked = change_set.relocked(session, service_id, planned)
    checked = publish_changes.check(planned, Share(service_id))
    done: dict[str, TemplateRecord] = {}
    if not dry_run:
        with db.current().transaction() as session:
            done = publish_changes.put(session, service_id, planned, Actor("client", caller.client_id))
    outcomes = [
        msgspec.structs.replace(
            _outcome(step, checked, done.get(step.identifier)),
            code=standings.get(step.identifier),
            lock=locks.get(step.identifier),
            relocked=relocked.get(step.identifier),
        )
        for step in planned.templates
    ]
    return _answer(planned, checked, outcomes, dry_run=dry_run)


def _outcome(step: TemplateStep, checked: Checked, done: TemplateRecord | None) -> TemplateOutcome:
    record = done or step.present
    warnings = [*checked.warnings.get(step.identifier, []), *keys.warnings(step.content.batch)]
    return TemplateOutcome(
        identifier=step.identifier,
        change=step.change,
        version=record.version if record else None,
        warnings=warnings if step.change != "same" else [],
    )


def _answer(
    planned: ChangePlan, checked: Checked, outcomes: list[TemplateOutcome], *, dry_run: bool
) -> ChangeSetAnswer:
    gone = [TemplateOutcome(identifier=one, change="deleted", version=None) for one in planned.wanted.gone_templates]
    gone_recipients = [RecipientOutcome(one, "deleted") for one in planned.wanted.gone_recipients]
    return ChangeSetAnswer(
        dry_run=dry_run,
        templates=[*outcomes, *gone],
        rendered=[answers.change(one) for one in checked.rendered],
        recipients=[
            *(RecipientOutcome(one.wanted.identifier, one.change) for one in planned.recipients),
            *gone_recipients,
        ],
    )


@post(
    "/registry/v1/changes",
    status_code=200,
    operation_id="putChanges",
    summary="Change many templates and recipients at once",
    description=(
        "All of it in one transaction, or nothing: templates with the partials and layouts that they include, their"
        " samples, recipients, and what is to be deleted. With `dry_run` it answers what would become of everything,"
        " also of templates that are made with a partial of the change. Every sample is rendered first."
    ),
    tags=["Templates"],
    guards=[bearer],
    opt={"scope": "registry:write", "body": ChangeSetShape, "query": ("dry_run",)},
    responses=errors.documented(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
)
async def apply(request: Request[Any, Any, Any], dry_run: DryRun = "false") -> ChangeSetAnswer:
    """Publish a change, or say what it would do."""
    caller = principal(request)
    body = await bodies.read(request, ChangeSetShape)
    only_look = dry_run != "false"
    return await to_thread.run_sync(lambda: _apply(caller, body, dry_run=only_look))


ROUTES = [apply]
