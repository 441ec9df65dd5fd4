"""Examples of the OpenAPI document that are about obligations and policies, by the names of their schemas."""

from collections.abc import Mapping
from typing import Any

_ID = "d5ac6f2e-7b8f-8c33-9d0e-2f4e5a0f1b6c"
_CREATED = "2026-11-23T09:30:00Z"

_OBLIGATION = {
    "state": "WORKLIST",
    "until": "acknowledged",
    "at_last": "worklist",
    "policy_id": None,
    "opened_at": _CREATED,
    "next_at": None,
    "met_by": None,
    "met_at": None,
    "met_through": None,
    "worklist_at": "2026-11-23T10:30:00Z",
    "closed_by": None,
    "closed_at": None,
    "closed_through": None,
    "closed_reason": None,
    "steps": [
        {
            "kind": "message",
            "after": "0s",
            "due_at": _CREATED,
            "state": "SENT",
            "taken_at": _CREATED,
            "notification_id": _ID,
            "detail": None,
        }
    ],
    "ticket": {
        "state": "SENT",
        "notification_id": "3f8d2f0a-6f0e-5e0b-8a39-7f1c6f2f5f10",
        "status": "SENT",
        "number": "4201",
        "detail": None,
    },
}
_MET = {
    "ticket": None,
    "state": "MET",
    "worklist_at": None,
    "met_by": "Ada Lovelace",
    "met_at": "2026-11-23T09:42:10Z",
    "met_through": "API",
}
_CLOSED = {
    "ticket": None,
    "state": "CLOSED",
    "worklist_at": None,
    "closed_by": "Ada Lovelace",
    "closed_at": "2026-11-23T09:42:10Z",
    "closed_through": "API",
    "closed_reason": "The freezer was switched off on purpose.",
}
_POLICY = {
    "name": "On call in the laboratory",
    "until": "acknowledged",
    "steps": [
        {"after": "0s", "channels": [{"type": "SLACK", "recipient": ["LAB_STAKEHOLDERS"]}]},
        {"after": "30m", "channels": [{"type": "EMAIL", "recipient": ["LAB_STAKEHOLDERS"]}]},
    ],
    "at_last": "worklist",
}
_SHOWN_POLICY = {"identifier": "LAB_ON_CALL", **_POLICY, "updated_at": "2026-10-01T08:00:00Z"}

EXAMPLES: Mapping[str, Any] = {
    "Acknowledgement": {"notification_id": _ID, "obligation": _OBLIGATION | _MET},
    "AcknowledgementRequest": {"by": "Ada Lovelace"},
    "CloseRequest": {"reason": "The freezer was switched off on purpose.", "by": "Ada Lovelace"},
    "Closing": {"notification_id": _ID, "obligation": _OBLIGATION | _CLOSED},
    "Policy": _SHOWN_POLICY,
    "PolicyPage": {"policies": [_SHOWN_POLICY], "next_cursor": None},
    "PolicyRequest": _POLICY,
    "WorklistPage": {"worklist": [{"notification_id": _ID, "obligation": _OBLIGATION}], "next_cursor": None},
}
