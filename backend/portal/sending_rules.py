"""When messages leave: the windows of a service, of a template and of a recipient, and their mutes."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from backend.accounts import audit
from backend.db import database as db
from backend.lib import clock, strict_json, windows
from backend.lib.windows import DAYS
from backend.portal import access, sending_forms
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Sent
from backend.portal.pages import Page, go, page
from backend.portal.sending_forms import AS_SET, Forms, Row, Written, WrittenEqualTexts, WrittenMute, WrittenThrottle
from backend.registry import sending, sending_rules
from backend.registry.sending import SERVICE, Rule, Subject
from backend.registry.sending_shapes import MuteShape, SendingRulesShape

_WORDS = {"mon": "Monday", "tue": "Tuesday", "wed": "Wednesday", "thu": "Thursday", "fri": "Friday", "sat": "Saturday"}
_DAY_WORDS = _WORDS | {"sun": "Sunday"}
_FIRST = ("mon", "tue", "wed", "thu", "fri")
_EDITORS, _ADMINISTRATORS = [access.editors], [access.administrators]
# Fields: zone, holidays, except_high, and start-0, until-0, mon-0 to sun-0, start-1, …; of a mute its own.
FormData = Sent[dict[str, str]]


@get("/settings/sending", sync_to_thread=True)
def of_service(workspace: NamedDependency[Workspace]) -> Page:
    """Show the service's own window."""
    return _show(workspace, SERVICE)


@post("/settings/sending", guards=_ADMINISTRATORS, sync_to_thread=True)
def save_of_service(workspace: NamedDependency[Workspace], data: FormData) -> Response[Any]:
    """Save the service's own window."""
    return _save(workspace, SERVICE, data)


@post("/settings/throttle", guards=_ADMINISTRATORS, sync_to_thread=True)
def throttle_service(workspace: NamedDependency[Workspace], data: FormData) -> Response[Any]:
    """Save how many messages of the service a recipient gets."""
    return _throttle(workspace, SERVICE, data)


@post("/settings/equal-texts", guards=_ADMINISTRATORS, sync_to_thread=True)
def equal_texts_of_service(workspace: NamedDependency[Workspace], data: FormData) -> Response[Any]:
    """Save what becomes of equal texts of the service."""
    return _equal_texts(workspace, SERVICE, data)


@post("/templates/{identifier:str}/equal-texts", guards=_EDITORS, sync_to_thread=True)
def equal_texts_of_template(
    workspace: NamedDependency[Workspace], identifier: FromPath[str], data: FormData
) -> Response[Any]:
    """Save what becomes of equal texts of a template."""
    return _equal_texts(workspace, Subject("template", identifier), data)


@post("/settings/worklist-ticket", guards=_ADMINISTRATORS, sync_to_thread=True)
def ticket_of_worklist(workspace: NamedDependency[Workspace], data: FormData) -> Response[Any]:
    """Save who gets a ticket for what nobody has answered."""
    given, faults, changed = data.get("worklist_ticket", "").strip(), Faults(), False
    with faults.on("worklist_ticket"):
        name = strict_json.check(SendingRulesShape, {"worklist_ticket": given or None}).worklist_ticket
        with db.current().transaction() as transaction:
            changed = sending_rules.put_worklist_ticket(transaction, workspace.service_id, SERVICE, name)
            if changed:
                detail: dict[str, object] = {"worklist_ticket": name}
                _write_down(transaction, workspace, "sending_rules.changed", SERVICE, detail)
    if faults:
        return _page(workspace, SERVICE, faults, Forms(worklist_ticket=given))
    done = (
        "It gets a ticket for what comes to the worklist." if given else "No ticket is made for the worklist any more."
    )
    return go(workspace.address("settings/sending"), done if changed else "Nothing was changed.")


@post("/templates/{identifier:str}/throttle", guards=_EDITORS, sync_to_thread=True)
def throttle_template(
    workspace: NamedDependency[Workspace], identifier: FromPath[str], data: FormData
) -> Response[Any]:
    """Save how many messages of a template a recipient gets."""
    return _throttle(workspace, Subject("template", identifier), data)


@get("/templates/{identifier:str}/sending", sync_to_thread=True)
def of_template(workspace: NamedDependency[Workspace], identifier: FromPath[str]) -> Page:
    """Show a template's window and mute."""
    return _show(workspace, Subject("template", identifier))


@post("/templates/{identifier:str}/sending", guards=_EDITORS, sync_to_thread=True)
def save_of_template(workspace: NamedDependency[Workspace], identifier: FromPath[str], data: FormData) -> Response[Any]:
    """Save a template's window."""
    return _save(workspace, Subject("template", identifier), data)


@post("/templates/{identifier:str}/mute", guards=_EDITORS, sync_to_thread=True)
def mute_template(workspace: NamedDependency[Workspace], identifier: FromPath[str], data: FormData) -> Response[Any]:
    """Silence a template until a moment."""
    return _mute(workspace, Subject("template", identifier), data)


@post("/templates/{identifier:str}/mute/lift", guards=_EDITORS, sync_to_thread=True)
def lift_template(workspace: NamedDependency[Workspace], identifier: FromPath[str]) -> Response[Any]:
    """End a template's mute."""
    return _lift(workspace, Subject("template", identifier))


@get("/recipients/{identifier:str}/sending", sync_to_thread=True)
def of_recipient(workspace: NamedDependency[Workspace], identifier: FromPath[str]) -> Page:
    """Show a recipient's window and mute."""
    return _show(workspace, Subject("recipient", identifier))


@post("/recipients/{identifier:str}/sending", guards=_EDITORS, sync_to_thread=True)
def save_of_recipient(
    workspace: NamedDependency[Workspace], identifier: FromPath[str], data: FormData
) -> Response[Any]:
    """Save a recipient's window."""
    return _save(workspace, Subject("recipient", identifier), data)


@post("/recipients/{identifier:str}/mute", guards=_EDITORS, sync_to_thread=True)
def mute_recipient(workspace: NamedDependency[Workspace], identifier: FromPath[str], data: FormData) -> Response[Any]:
    """Silence a recipient until a moment."""
    return _mute(workspace, Subject("recipient", identifier), data)


@post("/recipients/{identifier:str}/mute/lift", guards=_EDITORS, sync_to_thread=True)
def lift_recipient(workspace: NamedDependency[Workspace], identifier: FromPath[str]) -> Response[Any]:
    """End a recipient's mute."""
    return _lift(workspace, Subject("recipient", identifier))


def _own(subject: Subject) -> str:
    return "settings" if subject.kind == "service" else f"{subject.kind}s/{subject.name}"


def _show(workspace: Workspace, subject: Subject) -> Page:
    return _page(workspace, subject, Faults())


def _save(workspace: Workspace, subject: Subject, data: Mapping[str, str]) -> Response[Any]:
    written, faults, changed = sending_forms.read_window(data), Faults(), False
    with faults.on("window"):
        said: dict[str, Any] = {"window": _said(written) if written.rows else None}
        window = strict_json.check(SendingRulesShape, said).window
        with db.current().transaction() as transaction:
            found = window.window() if window is not None else None
            changed = sending_rules.put_window(transaction, workspace.service_id, subject, found)
            if changed:
                detail: dict[str, object] = {"window": found and found.in_words()}
                _write_down(transaction, workspace, "sending_rules.changed", subject, detail)
    if faults:
        return _page(workspace, subject, faults, Forms(window=written))
    done = "The window is saved." if written.rows else "There is no window any more."
    return go(workspace.address(f"{_own(subject)}/sending"), done if changed else "Nothing was changed.")


def _said(written: Written) -> dict[str, Any]:
    hours = [{"days": list(row.days), "start": row.start, "until": row.until} for row in written.rows]
    holidays = [one for one in re.split(r"[,\s]+", written.holidays) if one]
    return {"hours": hours, "zone": written.zone, "holidays": holidays, "except_high": written.except_high}


def _mute(workspace: Workspace, subject: Subject, data: Mapping[str, str]) -> Response[Any]:
    written = WrittenMute(
        data.get("until", "").strip(),
        data.get("zone", "").strip(),
        data.get("reason", "").strip(),
        data.get("drop_older_than", "").strip(),
        "except_high" in data,
    )
    faults = Faults()
    until = _moment(written, faults)
    if not written.reason:
        faults.add("reason", "Say why: it is shown wherever something waits for the mute to end.")
    if until is not None and not faults:
        with faults.on("until"):
            said = {"until": until, "reason": written.reason, "except_high": written.except_high}
            shape = strict_json.check(MuteShape, said | {"drop_older_than": written.drop_older_than or None})
            with db.current().transaction() as transaction:
                sending_rules.mute(transaction, workspace.service_id, subject, shape, workspace.viewer.email)
                detail: dict[str, object] = {"until": until, "reason": shape.reason}
                _write_down(transaction, workspace, f"{subject.kind}.muted", subject, detail)
    if faults:
        return _page(workspace, subject, faults, Forms(mute=written))
    return go(workspace.address(f"{_own(subject)}/sending"), "It is muted. What comes meanwhile waits.")


def _moment(written: WrittenMute, faults: Faults) -> str | None:
    """Return the end of a mute as the API takes it."""
    try:
        zone = ZoneInfo(windows.check_zone(written.zone))
    except ValueError as fault:
        faults.add("mute-zone", str(fault))
        return None
    try:
        return datetime.fromisoformat(written.until).replace(tzinfo=zone).isoformat()
    except ValueError:
        faults.add("until", "Say until when: a day and a time.")
        return None


def _throttle(workspace: Workspace, subject: Subject, data: Mapping[str, str]) -> Response[Any]:
    """Save a throttle; without a number there is none."""
    written = WrittenThrottle(
        data.get("most", "").strip(),
        data.get("per", "").strip(),
        data.get("then", ""),
        data.get("digest_template", "").strip(),
        "except_high" in data,
    )
    faults, changed = Faults(), False
    with faults.on("most"):
        throttle = written.shape().throttle() if written.most else None
        with db.current().transaction() as transaction:
            changed = sending_rules.put_throttle(transaction, workspace.service_id, subject, throttle)
            if changed:
                detail: dict[str, object] = {"throttle": throttle and throttle.in_words()}
                _write_down(transaction, workspace, "sending_rules.changed", subject, detail)
    if faults:
        return _page(workspace, subject, faults, Forms(throttle=written))
    done = "The throttle is saved." if written.most else "There is no throttle any more."
    return go(workspace.address(f"{_own(subject)}/sending"), done if changed else "Nothing was changed.")


def _equal_texts(workspace: Workspace, subject: Subject, data: Mapping[str, str]) -> Response[Any]:
    """Save what becomes of equal texts; to let them wait is to have no rule."""
    written = WrittenEqualTexts(data.get("then", ""), data.get("digest_template", "").strip())
    faults, changed = Faults(), False
    with faults.on("equal-digest"):
        equal = written.shape().equal_texts() if written.then != "wait" else None
        with db.current().transaction() as transaction:
            changed = sending_rules.put_equal_texts(transaction, workspace.service_id, subject, equal)
            if changed:
                detail: dict[str, object] = {"equal_texts": equal and equal.in_words()}
                _write_down(transaction, workspace, "sending_rules.changed", subject, detail)
    if faults:
        return _page(workspace, subject, faults, Forms(equal_texts=written))
    done = "The rule for equal texts is saved." if changed else "Nothing was changed."
    return go(workspace.address(f"{_own(subject)}/sending"), done)


def _lift(workspace: Workspace, subject: Subject) -> Response[Any]:
    with db.current().transaction() as transaction:
        lifted = sending_rules.lift(transaction, workspace.service_id, subject)
        if lifted:
            _write_down(transaction, workspace, f"{subject.kind}.mute_lifted", subject, {})
    done = "The mute is over. What waited for it leaves." if lifted else "It was not muted any more."
    return go(workspace.address(f"{_own(subject)}/sending"), done)


def _write_down(
    transaction: Any, workspace: Workspace, action: str, subject: Subject, detail: dict[str, object]
) -> None:
    name = subject.name or workspace.service_name
    audit.record(transaction, workspace.actor, action, name, service_id=workspace.service_id, detail=detail)


def _page(workspace: Workspace, subject: Subject, faults: Faults, forms: Forms = AS_SET) -> Page:
    with db.current().read() as reading:
        rule = sending_rules.get(reading, workspace.service_id, subject)
    written = forms.window or sending_forms.of_window(rule)
    mute = forms.mute or WrittenMute(zone=rule.window.zone if rule.window is not None else "UTC")
    spare = Row() if written.rows else Row("", "", _FIRST)
    return page(
        "sending/index.html",
        workspace.viewer,
        current="settings" if subject.kind == "service" else f"{subject.kind}s",
        workspace=workspace,
        status_code=faults.status,
        subject=subject,
        own=_own(subject),
        may_change=workspace.may_administer if subject.kind == "service" else workspace.may_edit,
        **whether_it_leaves(rule),
        written=written,
        rows=[*written.rows, spare],
        mute=mute,
        throttled=rule.throttle,
        throttle=forms.throttle or sending_forms.of_throttle(rule.throttle),
        equal_rule=rule.equal_texts,
        equal=forms.equal_texts or sending_forms.of_equal_texts(rule.equal_texts),
        ticket_of_worklist=rule.worklist_ticket,
        written_ticket=rule.worklist_ticket if forms.worklist_ticket is None else forms.worklist_ticket,
        days=[(day, _DAY_WORDS[day]) for day in DAYS],
        faults=faults,
    )


def whether_it_leaves(rule: Rule) -> dict[str, Any]:
    """Return what ``sending/_state.html`` shows of a rule."""
    window, now = rule.window, clock.now()
    return {
        "window": window,
        "opens": windows.next_in_all([window], now) if window is not None else None,
        "is_open": window is not None and window.is_open(now),
        "muted": rule.mute if sending.is_muted(rule.mute) else None,
    }


ROUTES = [
    of_service,
    save_of_service,
    throttle_service,
    ticket_of_worklist,
    equal_texts_of_service,
    equal_texts_of_template,
    throttle_template,
    of_template,
    save_of_template,
    mute_template,
    lift_template,
    of_recipient,
    save_of_recipient,
    mute_recipient,
    lift_recipient,
]
