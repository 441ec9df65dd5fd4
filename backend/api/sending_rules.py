"""``/registry/v1/…/sending-rules`` and ``…/mute``: when messages of a service, of a template, to a recipient leave."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from anyio import to_thread
from litestar import Request, delete, get, put
from litestar.params import Parameter
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.accounts.access import Principal
from backend.accounts.audit import Actor
from backend.api import bodies, errors
from backend.api.guards import bearer, principal
from backend.db import database as db
from backend.lib import clock, windows
from backend.registry import owned, sending, sending_rules
from backend.registry.sending import SERVICE, Rule, Subject
from backend.registry.sending_shapes import MuteShape, SendingRulesShape

_AnyRequest = Request[Any, Any, Any]
_TemplateId = Annotated[
    str, Parameter(description="The template's identifier.", schema_extra={"pattern": owned.PATTERN})
]
_RecipientId = Annotated[
    str, Parameter(description="The recipient's identifier.", schema_extra={"pattern": owned.PATTERN})
]
_REGISTRY = "/registry/v1"
_TEMPLATE, _RECIPIENT = f"{_REGISTRY}/templates/{{template_id:str}}", f"{_REGISTRY}/recipients/{{recipient_id:str}}"
_READING = {"scope": "registry:read"}
_WRITING = {"scope": "registry:write"}
_SETTING = _WRITING | {"body": SendingRulesShape}
_MUTING = _WRITING | {"body": MuteShape}
_SAYS = "Replaces them as a whole. What waits is judged anew at once. Refused where nothing could ever leave."
_SILENCES = "What would leave meanwhile waits, and leaves when the mute ends; to mute again replaces it."
_READ_FAULTS = errors.documented(400, 401, 403, 404, 429, 503)
_FAULTS = errors.documented(400, 401, 403, 404, 413, 415, 422, 429, 503)


class WindowHoursAnswer(msgspec.Struct, frozen=True):
    """From one time of a day to another; an end that is not later than the beginning is that of the following day."""

    days: list[str]
    start: str
    until: str


class WindowAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """When messages may leave; ``open`` tells whether they may now, ``next_open`` when they may again."""

    hours: list[WindowHoursAnswer]
    zone: str
    holidays: list[str]
    except_high: bool
    open: bool
    next_open: datetime | None


class MuteAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A mute that is under way: until when, why, by whom and since when."""

    until: datetime
    reason: str
    by: str
    since: datetime
    drop_older_than: str | None
    except_high: bool


class ThrottleAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """At most ``most`` messages to each recipient ``per`` span of time; ``then`` is what becomes of one too many."""

    most: int
    per: str
    then: Literal["refuse", "digest"]
    digest_template: str | None
    except_high: bool


class EqualTextsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a text message that equals the one before."""

    then: Literal["refuse", "digest"]
    digest_template: str | None


class SendingRulesAnswer(msgspec.Struct, frozen=True):
    """When messages leave, and how many; null is what does not hold them back.

    ``worklist_ticket`` is the recipient that gets a ticket for what comes to the worklist; null for none.
    """

    window: WindowAnswer | None
    mute: MuteAnswer | None
    throttle: ThrottleAnswer | None
    worklist_ticket: str | None
    equal_texts: EqualTextsAnswer | None


def _answer(rule: Rule) -> SendingRulesAnswer:
    mute = rule.mute if sending.is_muted(rule.mute) else None
    return SendingRulesAnswer(
        _window(rule),
        msgspec.convert(msgspec.structs.asdict(mute), MuteAnswer) if mute else None,
        msgspec.convert(msgspec.to_builtins(rule.throttle), ThrottleAnswer) if rule.throttle else None,
        rule.worklist_ticket,
        msgspec.convert(msgspec.to_builtins(rule.equal_texts), EqualTextsAnswer) if rule.equal_texts else None,
    )


def _window(rule: Rule) -> WindowAnswer | None:
    window = rule.window
    if window is None:
        return None
    now = clock.now()
    shown = {"open": window.is_open(now), "next_open": windows.next_in_all([window], now)}
    return msgspec.convert(window.stored() | shown, WindowAnswer)


def _show(caller: Principal, subject: Subject) -> SendingRulesAnswer:
    with db.current().read() as session:
        return _answer(sending_rules.get(session, caller.service_id, subject))


def _set(caller: Principal, subject: Subject, body: SendingRulesShape) -> SendingRulesAnswer:
    window = body.window.window() if body.window is not None else None
    throttle = body.throttle.throttle() if body.throttle is not None else None
    equal = body.equal_texts.equal_texts() if body.equal_texts is not None else None
    with db.current().transaction() as session:
        changed = [
            sending_rules.put_window(session, caller.service_id, subject, window),
            sending_rules.put_throttle(session, caller.service_id, subject, throttle),
            sending_rules.put_equal_texts(session, caller.service_id, subject, equal),
            sending_rules.put_worklist_ticket(session, caller.service_id, subject, body.worklist_ticket),
        ]
        if any(changed):
            said: dict[str, object] = {
                "window": window and window.in_words(),
                "throttle": throttle and throttle.in_words(),
                "equal_texts": equal and equal.in_words(),
            }
            if subject.kind == "service":
                said["worklist_ticket"] = body.worklist_ticket
            _write_down(session, caller, "sending_rules.changed", subject, said)
        return _answer(sending_rules.get(session, caller.service_id, subject))


def _mute(caller: Principal, subject: Subject, body: MuteShape) -> SendingRulesAnswer:
    with db.current().transaction() as session:
        rule = sending_rules.mute(session, caller.service_id, subject, body, caller.client_id)
        detail: dict[str, object] = {"until": f"{body.until:%Y-%m-%d %H:%M:%S%z}", "reason": body.reason}
        _write_down(session, caller, f"{subject.kind}.muted", subject, detail)
    return _answer(rule)


def _lift(caller: Principal, subject: Subject) -> None:
    with db.current().transaction() as session:
        if sending_rules.lift(session, caller.service_id, subject):
            _write_down(session, caller, f"{subject.kind}.mute_lifted", subject, {})


def _write_down(session: Session, caller: Principal, action: str, subject: Subject, detail: dict[str, object]) -> None:
    by = Actor("client", caller.client_id)
    audit.record(session, by, action, subject.name or subject.kind, service_id=caller.service_id, detail=detail)


def _named(kind: sending.Kind, name: str) -> Subject:
    return Subject(kind, owned.check_identifier(name))


@get(
    f"{_REGISTRY}/settings/sending-rules",
    guards=[bearer],
    opt=_READING,
    responses=_READ_FAULTS,
    operation_id="getServiceSendingRules",
    summary="Read when the service's messages may leave",
    sync_to_thread=True,
)
def of_service(request: _AnyRequest) -> SendingRulesAnswer:
    """Return the service's own window."""
    return _show(principal(request), SERVICE)


@put(
    f"{_REGISTRY}/settings/sending-rules",
    guards=[bearer],
    opt=_SETTING,
    responses=_FAULTS,
    operation_id="putServiceSendingRules",
    summary="Set when the service's messages may leave",
    description=_SAYS,
)
async def set_of_service(request: _AnyRequest) -> SendingRulesAnswer:
    """Set the service's own window."""
    body = await bodies.read(request, SendingRulesShape)
    return await to_thread.run_sync(_set, principal(request), SERVICE, body)


@get(
    f"{_TEMPLATE}/sending-rules",
    guards=[bearer],
    opt=_READING,
    responses=_READ_FAULTS,
    operation_id="getTemplateSendingRules",
    summary="Read when a template's messages may leave",
    sync_to_thread=True,
)
def of_template(request: _AnyRequest, template_id: _TemplateId) -> SendingRulesAnswer:
    """Return a template's window and mute."""
    return _show(principal(request), _named("template", template_id))


@put(
    f"{_TEMPLATE}/sending-rules",
    guards=[bearer],
    opt=_SETTING,
    responses=_FAULTS,
    operation_id="putTemplateSendingRules",
    summary="Set when a template's messages may leave",
    description=_SAYS,
)
async def set_of_template(request: _AnyRequest, template_id: _TemplateId) -> SendingRulesAnswer:
    """Set a template's window."""
    subject = _named("template", template_id)
    return await to_thread.run_sync(_set, principal(request), subject, await bodies.read(request, SendingRulesShape))


@get(
    f"{_RECIPIENT}/sending-rules",
    guards=[bearer],
    opt=_READING,
    responses=_READ_FAULTS,
    operation_id="getRecipientSendingRules",
    summary="Read when messages to a recipient may leave",
    sync_to_thread=True,
)
def of_recipient(request: _AnyRequest, recipient_id: _RecipientId) -> SendingRulesAnswer:
    """Return a recipient's window and mute."""
    return _show(principal(request), _named("recipient", recipient_id))


@put(
    f"{_RECIPIENT}/sending-rules",
    guards=[bearer],
    opt=_SETTING,
    responses=_FAULTS,
    operation_id="putRecipientSendingRules",
    summary="Set when messages to a recipient may leave",
    description=_SAYS,
)
async def set_of_recipient(request: _AnyRequest, recipient_id: _RecipientId) -> SendingRulesAnswer:
    """Set a recipient's window."""
    subject = _named("recipient", recipient_id)
    return await to_thread.run_sync(_set, principal(request), subject, await bodies.read(request, SendingRulesShape))


@put(
    f"{_TEMPLATE}/mute",
    guards=[bearer],
    opt=_MUTING,
    responses=_FAULTS,
    operation_id="putTemplateMute",
    summary="Mute a template until a moment",
    description=_SILENCES,
)
async def mute_template(request: _AnyRequest, template_id: _TemplateId) -> SendingRulesAnswer:
    """Silence a template."""
    subject = _named("template", template_id)
    return await to_thread.run_sync(_mute, principal(request), subject, await bodies.read(request, MuteShape))


@delete(
    f"{_TEMPLATE}/mute",
    guards=[bearer],
    opt=_WRITING,
    responses=_READ_FAULTS,
    operation_id="deleteTemplateMute",
    summary="End a template's mute",
    description="What waited for it leaves. To end one that is not under way does nothing.",
    sync_to_thread=True,
)
def lift_template(request: _AnyRequest, template_id: _TemplateId) -> None:
    """End a template's mute."""
    _lift(principal(request), _named("template", template_id))


@put(
    f"{_RECIPIENT}/mute",
    guards=[bearer],
    opt=_MUTING,
    responses=_FAULTS,
    operation_id="putRecipientMute",
    summary="Mute a recipient until a moment",
    description=_SILENCES,
)
async def mute_recipient(request: _AnyRequest, recipient_id: _RecipientId) -> SendingRulesAnswer:
    """Silence a recipient."""
    subject = _named("recipient", recipient_id)
    return await to_thread.run_sync(_mute, principal(request), subject, await bodies.read(request, MuteShape))


@delete(
    f"{_RECIPIENT}/mute",
    guards=[bearer],
    opt=_WRITING,
    responses=_READ_FAULTS,
    operation_id="deleteRecipientMute",
    summary="End a recipient's mute",
    description="What waited for it leaves. To end one that is not under way does nothing.",
    sync_to_thread=True,
)
def lift_recipient(request: _AnyRequest, recipient_id: _RecipientId) -> None:
    """End a recipient's mute."""
    _lift(principal(request), _named("recipient", recipient_id))


ROUTES = [
    of_service,
    set_of_service,
    of_template,
    set_of_template,
    of_recipient,
    set_of_recipient,
    mute_template,
    lift_template,
    mute_recipient,
    lift_recipient,
]
