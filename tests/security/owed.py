"""An obligation and a policy for the walk over all addresses, and what is sent to those of theirs."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from backend.db.database import Database
from backend.lib import clock
from backend.lib.windows import DAYS
from backend.obligations import opening
from backend.obligations.opening import NewObligation, NewStep
from backend.registry import policies
from backend.registry.policies import PolicyContent

_STEPS = [{"after": "0s", "channels": [{"type": "EMAIL", "recipient": ["A_ALL"]}]}]
_ROW = {"after-0": "0s", "type-0": "EMAIL", "recipient-0": "A_ALL", "until": "read", "name": "More"}


def begin(database: Database, service_id: int, uid: UUID) -> None:
    """Let a notification wait for an answer, and its service have a policy."""
    owing = NewObligation(
        service_id=service_id,
        api_client_id=None,
        notification_uid=uid,
        policy_id=None,
        until="acknowledged",
        at_last="worklist",
        steps=[NewStep(3_600, None)],
    )
    with database.transaction() as session:
        opening.open_all(session, [owing], clock.now())
        content = PolicyContent(name="On call", until="acknowledged", steps=_STEPS)
        policies.put(session, service_id, "A_ON_CALL", content)


def pages(uid: UUID) -> dict[str, tuple[dict[str, str], dict[str, Any]]]:
    """Return forms of the portal, with what stands in their addresses."""
    present = {"identifier": "A_ON_CALL"}
    return {
        "notifications/{uid:uuid}/acknowledge": ({}, {"uid": uid}),
        "notifications/{uid:uuid}/close": ({"reason": "Repaired"}, {"uid": uid}),
        "policies/new": ({**_ROW, "identifier": "A_MORE"}, {}),
        "policies/{identifier:str}": (_ROW, present),
        "policies/{identifier:str}/delete": ({}, present),
        **_sending(),
    }


def _sending() -> dict[str, tuple[dict[str, str], dict[str, Any]]]:
    """Return the forms that say when messages leave."""
    until = f"{clock.now() + timedelta(days=1):%Y-%m-%dT%H:%M}"
    window = {"start-0": "00:00", "until-0": "24:00", "zone": "UTC"} | {f"{day}-0": "on" for day in DAYS}
    mute = {"until": until, "zone": "UTC", "reason": "On leave"}
    throttle = {"most": "900", "per": "1h", "then": "refuse"}
    found: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
        "settings/sending": (window, {}),
        "settings/throttle": (throttle, {}),
        "settings/equal-texts": ({"then": "refuse"}, {}),
        "templates/{identifier:str}/equal-texts": ({"then": "refuse"}, {"identifier": "A_SAMPLE"}),
        "settings/worklist-ticket": ({"worklist_ticket": "A_DESK"}, {}),
        "templates/{identifier:str}/throttle": (throttle, {"identifier": "A_SAMPLE"}),
    }
    for kind, name in (("templates", "A_SAMPLE"), ("recipients", "A_ALL")):
        found[f"{kind}/{{identifier:str}}/sending"] = (window, {"identifier": name})
        found[f"{kind}/{{identifier:str}}/mute"] = (mute, {"identifier": name})
        found[f"{kind}/{{identifier:str}}/mute/lift"] = ({}, {"identifier": name})
    return found


def calls(uid: UUID) -> dict[str, tuple[dict[str, Any] | None, dict[str, Any]]]:
    """Return calls of the API, with what stands in their addresses."""
    return {
        "POST /notifications/v1/{notification_id:str}/acknowledge": ({"by": "Ada"}, {"notification_id": uid}),
        "POST /notifications/v1/{notification_id:str}/close": ({"reason": "Repaired"}, {"notification_id": uid}),
        "PUT /registry/v1/policies/{policy_id:str}": ({"name": "Mine", "steps": _STEPS}, {"policy_id": "A_MORE"}),
        "DELETE /registry/v1/policies/{policy_id:str}": (None, {"policy_id": "A_ON_CALL"}),
        **_sending_calls(),
    }


def _sending_calls() -> dict[str, tuple[dict[str, Any] | None, dict[str, Any]]]:
    """Return the calls that say when messages leave."""
    hours = {"days": list(DAYS), "start": "00:00", "until": "24:00"}
    rules = {"window": {"hours": [hours], "zone": "Europe/London"}}
    mute = {"until": clock.iso(clock.now() + timedelta(days=1)), "reason": "On leave"}
    found: dict[str, tuple[dict[str, Any] | None, dict[str, Any]]] = {
        "PUT /registry/v1/settings/sending-rules": (rules, {})
    }
    for kind, parameter, name in (("templates", "template_id", "A_SAMPLE"), ("recipients", "recipient_id", "A_ALL")):
        path = f"/registry/v1/{kind}/{{{parameter}:str}}"
        found[f"PUT {path}/sending-rules"] = (rules, {parameter: name})
        found[f"PUT {path}/mute"] = (mute, {parameter: name})
        found[f"DELETE {path}/mute"] = (None, {parameter: name})
    return found
