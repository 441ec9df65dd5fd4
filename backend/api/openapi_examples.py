"""Examples for the OpenAPI document: one story of a laboratory that finds faults in its samples.

They stand by the names of their schemas; where a schema is answered with several statuses, by ``Name status``.
"""

from collections.abc import Mapping
from typing import Any

from backend.api import (
    openapi_matter_examples,
    openapi_obligation_examples,
    openapi_sender_examples,
    openapi_sending_examples,
    openapi_token_examples,
)

_ID, _OTHER_ID = "d5ac6f2e-7b8f-8c33-9d0e-2f4e5a0f1b6c", "0b1f3f52-55de-8d1c-a1f4-8c2d9a7c4e10"
_SELF = f"/notifications/v1/{_ID}"
_CREATED, _SENT = "2026-11-23T09:30:00Z", "2026-11-23T09:30:02Z"
_FIELDS = {"sample_id": "S-1043", "reason": "The tube arrived without a label."}
_SUBJECT = "Sample S-1043 cannot be taken in"
_TEXT = "Sample S-1043 cannot be taken in. The tube arrived without a label."
_HTML = "<p>Sample S-1043 cannot be taken in. The tube arrived without a label.</p>"
_SOURCE = "Sample {{ sample_id }} cannot be taken in. {{ reason }}"
_CURSOR = "WzQyXQ"

_ACCEPTED = {"notification_id": _ID, "status": "DISPATCHED", "links": {"self": _SELF}, "mode": "live"}
_NOTIFICATION = {
    "channels": [
        {
            "type": "EMAIL",
            "recipient": ["LAB_STAKEHOLDERS"],
            "subject": _SUBJECT,
            "template_id": "ACCESSIONING_FAILURE",
            "fields": _FIELDS,
        }
    ],
    "priority": "NORMAL",
}
_SUMMARY = {
    "notification_id": _ID,
    "status": "SENT",
    "mode": "live",
    "priority": "NORMAL",
    "aggregator_id": None,
    "created_at": _CREATED,
    "updated_at": _SENT,
    "send_at": None,
    "links": {"self": _SELF},
}
_DELIVERY = {
    "id": "7f0c2f0a-6f5e-8b52-8a38-55f0d4a1d9c3",
    "address": "lab-team@lab.example",
    "status": "SENT",
    "attempts": 1,
    "provider": "smtp://mail.lab.example:587",
    "provider_message_id": "<7f0c2f0a@carillon.lab.example>",
    "error": None,
    "sent_at": _SENT,
    "delivered_at": None,
    "segments": None,
    "due_at": None,
    "meant_for": None,
    "language": "en",
    "waits": None,
}
_BATCH = {
    "batch_id": "5a3b2c77-1d62-8f08-b7c5-0c6f3a1e9b44",
    "aggregator_id": "manifest-21784312",
    "matter": "manifest-21784312",
    "channel": "EMAIL",
    "recipient": "LAB_STAKEHOLDERS",
    "template_id": "ACCESSIONING_FAILURE",
    "content_type": "html",
    "subject": "Samples that cannot be taken in",
    "status": "OPEN",
    "mode": "live",
    "held": False,
    "members": 2,
    "opened_at": _CREATED,
    "last_member_at": _SENT,
    "closes_at": "2026-11-23T09:31:02Z",
    "why": "quiet",
    "error": None,
    "waits": None,
}
_SAME_BATCH = {name: _BATCH[name] for name in ("batch_id", "channel", "recipient", "template_id", "members")}
_TEMPLATE = {
    "repeat_after": None,
    "sender": "lims@lab.example",
    "reply_to": None,
    "name": "Sample cannot be taken in",
    "kind": "template",
    "format": "text",
    "source": _SOURCE,
    "subject": "Sample {{ sample_id }} cannot be taken in",
    "sample_fields": _FIELDS,
    "batch": {"quiet_seconds": 60, "item_key": "sample_id", "only_if_new": True},
    "language": "en-GB",
    "variants": {
        "de": {
            "source": "{{ sample_id }}: {{ reason }}",
            "subject": "Probe {{ sample_id }} kann nicht aufgenommen werden",
            "sample_fields": None,
        }
    },
}
_SHOWN_TEMPLATE = {
    "identifier": "ACCESSIONING_FAILURE",
    "version": 3,
    "created_at": "2026-10-01T08:00:00Z",
    "updated_at": "2026-11-20T14:05:00Z",
}
_RECIPIENT = {
    "name": "Laboratory stakeholders",
    "language": "en-GB",
    "endpoints": [
        {"type": "EMAIL", "address": "lab-team@lab.example"},
        {"type": "SLACK", "address": "#sample-desk"},
    ],
}
_SHOWN_RECIPIENT = {
    "identifier": "LAB_STAKEHOLDERS",
    **_RECIPIENT,
    "created_at": "2026-10-01T08:00:00Z",
    "updated_at": "2026-10-01T08:00:00Z",
}
_CALLBACK = {
    "url": "https://lims.lab.example/carillon",
    "enabled": True,
    "disabled_at": None,
    "disabled_why": None,
    "failing_since": None,
    "failures": 0,
    "secrets": 1,
    "created_at": "2026-10-01T08:00:00Z",
    "updated_at": "2026-10-01T08:00:00Z",
    "secret": None,
}
_NEW_SECRET = "whsec_…"  # noqa: S105 - no secret: what stands for one
_MESSAGE = {
    "id": "msg_0123456789abcdef0123456789abcdef",
    "type": "notification.sent",
    "notification_id": _ID,
    "status": "DELIVERED",
    "attempts": 1,
    "created_at": _SENT,
    "last_attempt_at": "2026-11-23T09:30:03Z",
    "next_attempt_at": None,
    "last_status": 204,
    "last_error": None,
    "payload": f'{{"type":"notification.sent","timestamp":"{_SENT}","data":{{"notification_id":"{_ID}"}}}}',
}
_RENDERED = {"subject": _SUBJECT, "html": _HTML, "text": _TEXT}
_UNKNOWN = {
    "type": "https://carillon.lab.example/docs/errors#unknown_recipient",
    "title": "Unknown recipient",
    "status": 422,
    "detail": "No recipient 'LAB_STAKEHOLDER' is registered for this service.",
    "code": "unknown_recipient",
    "errors": [
        {
            "pointer": "/channels/0/recipient/0",
            "code": "unknown_recipient",
            "detail": "No recipient 'LAB_STAKEHOLDER' is registered for this service.",
        }
    ],
    "notification_id": _OTHER_ID,
    "notification_status": "FAILED",
}

_EXAMPLES: Mapping[str, Any] = {
    **openapi_matter_examples.EXAMPLES,
    **openapi_obligation_examples.EXAMPLES,
    **openapi_sender_examples.EXAMPLES,
    **openapi_sending_examples.EXAMPLES,
    **openapi_token_examples.EXAMPLES,
    "AcceptedNotification": _ACCEPTED,
    "AcceptedNotification 200": _ACCEPTED | {"status": "SENT", "duplicate": True},
    "Aggregator": {
        "aggregator_id": "manifest-21784312",
        "batches": [
            _BATCH
            | {
                "notifications": [
                    {"sequence": 1, "notification_id": _ID, "fields": _FIELDS},
                    {"sequence": 2, "notification_id": _OTHER_ID, "fields": _FIELDS | {"sample_id": "S-1044"}},
                ]
            }
        ],
        "next_cursor": None,
    },
    "AggregatorPreview": {
        "aggregator_id": "manifest-21784312",
        "messages": [{**_SAME_BATCH, "template_version": 3, "language": "en", **_RENDERED, "error": None}],
        "next_cursor": None,
    },
    "BatchPage": {"aggregators": [_BATCH], "next_cursor": None},
    "BulkRequest": {"notifications": [_NOTIFICATION]},
    "BulkResults": {
        "results": [
            {
                "status": 202,
                "notification_id": _ID,
                "notification_status": "DISPATCHED",
                "links": {"self": _SELF},
                "mode": "live",
            },
            _UNKNOWN,
        ]
    },
    "Callback": _CALLBACK,
    "Callback 201": _CALLBACK | {"secret": _NEW_SECRET},
    "CallbackMessage": _MESSAGE | {"status": "PENDING", "next_attempt_at": "2026-11-23T09:35:00Z"},
    "CallbackMessagePage": {"messages": [_MESSAGE], "next_cursor": _CURSOR},
    "CallbackRequest": {"url": "https://lims.lab.example/carillon"},
    "ChangeSetOutcome": {
        "dry_run": False,
        "templates": [
            {
                "identifier": "ACCESSIONING_FAILURE",
                "change": "changed",
                "version": 4,
                "warnings": [],
                "code": None,
                "lock": None,
                "relocked": None,
            }
        ],
        "rendered": [],
        "recipients": [{"identifier": "LAB_STAKEHOLDERS", "change": "same"}],
    },
    "ChangeSetRequest": {
        "message": "Say where the sample was taken",
        "commit": "5f2c9e1",
        "repository": "https://git.lab.example/notifications",
        "templates": [
            {name: value for name, value in _TEMPLATE.items() if name != "sample_fields"}
            | {
                "identifier": "ACCESSIONING_FAILURE",
                "samples": [{"name": "No label", "fields": _FIELDS}],
                "locked": True,
            }
        ],
        "recipients": [
            {
                "identifier": "LAB_STAKEHOLDERS",
                "name": "Laboratory",
                "endpoints": [{"type": "EMAIL", "address": "lab-team@lab.example"}],
            }
        ],
        "delete": {"templates": ["OLD_FAILURE"], "recipients": []},
    },
    "Empty": {},
    "Explanation": {
        "notification_id": _ID,
        "would": "DISPATCH",
        "mode": "live",
        "errors": [],
        "channels": [
            {
                "type": "EMAIL",
                "template_id": "ACCESSIONING_FAILURE",
                "template_version": 3,
                "language": "en",
                **_RENDERED,
                "recipients": [{"recipient": "LAB_STAKEHOLDERS", "addresses": ["lab-team@lab.example"]}],
                "provider": "smtp://mail.lab.example:587",
                "sender": "Laboratory <lims@lab.example>",
            }
        ],
    },
    "HandledBatches": {
        "aggregator_id": "manifest-21784312",
        "done": "held",
        "batches": [_BATCH | {"held": True}],
        "batches_total": 1,
    },
    "Health": {"status": "ok", "version": "1.0.0"},
    "Notification": _SUMMARY
    | {
        "matter": None,
        "due_in_seconds": None,
        "waits": None,
        "deliveries_total": 1,
        "deliveries_by_status": {"SENT": 1},
        "events_total": 1,
        "channels": [
            {
                "type": "EMAIL",
                "template_id": "ACCESSIONING_FAILURE",
                "template_version": 3,
                "recipients": [{"recipient": "LAB_STAKEHOLDERS", "deliveries": [_DELIVERY]}],
            }
        ],
        "events": [
            {"at": _CREATED, "what": "Accepted"},
            {
                "at": _SENT,
                "what": "Sent to lab-team@lab.example by smtp://mail.lab.example:587 (attempt 1): 250 queued",
            },
        ],
    },
    "NotificationPage": {
        "notifications": [
            _SUMMARY
            | {
                "subject": "Accessioning failure of 40STDY246690",
                "address": "lab-team@lab.example",
                "addresses_total": 1,
                "error": None,
                "matches": [{"where": "field", "name": "sample-id", "text": "40STDY246690"}],
            }
        ],
        "next_cursor": _CURSOR,
    },
    "NotificationRequest": _NOTIFICATION,
    "PreviewRequest": {"fields": _FIELDS, "priority": "NORMAL", "language": "de"},
    "Problem 422": _UNKNOWN,
    "Readiness": {"status": "ready", "database": "ok", "queue": "ok"},
    "Readiness 503": {"status": "not ready", "database": "does not answer", "queue": "ok"},
    "Recipient": _SHOWN_RECIPIENT,
    "RecipientPage": {"recipients": [_SHOWN_RECIPIENT], "next_cursor": None},
    "RecipientRequest": _RECIPIENT,
    "RemovedMember": {"notification_id": _ID, "status": "CANCELLED", "batches": [_BATCH | {"members": 1}]},
    "SigningSecret": {"secret": _NEW_SECRET},
    "SuppressionPage": {
        "suppressions": [
            {
                "channel": "EMAIL",
                "address": "left@lab.example",
                "reason": "bounced",
                "detail": "550 5.1.1 No such user",
                "since": "2026-11-02T11:00:00Z",
            }
        ],
        "next_cursor": None,
    },
    "Settings": {
        "language": "en-GB",
        "mail_layout": "LAB_LAYOUT",
        "published": [{"identifier": "ACCESSIONING_FAILURE", "version": 4}],
    },
    "SettingsRequest": {"language": "en-GB", "mail_layout": "LAB_LAYOUT"},
    "Template": _TEMPLATE
    | _SHOWN_TEMPLATE
    | {"warnings": [], "uses": [], "used_by": [], "samples": [], "code": None, "lock": None},
    "TemplateChanges": {
        "changes": [
            {
                "identifier": "ACCESSIONING_FAILURE",
                "version": 3,
                "before": _RENDERED,
                "after": _RENDERED | {"subject": f"{_SUBJECT} (laboratory 2)"},
                "breaks": None,
            }
        ]
    },
    "TemplatePage": {
        "templates": [{name: _TEMPLATE[name] for name in ("name", "kind", "format", "subject")} | _SHOWN_TEMPLATE],
        "next_cursor": None,
    },
    "TemplatePreview": {"language": "en", "subject": _SUBJECT, "html": None, "text": _TEXT, "warnings": []},
    "TemplateRequest": _TEMPLATE,
    "TemplateVersionPage": {
        "versions": [
            _TEMPLATE
            | {"version": 3, "created_at": "2026-11-20T14:05:00Z", "created_by": "ada@lab.example"}
            | {"note": None, "by_code": False, "commit": None, "repository": None}
        ],
        "next_cursor": None,
    },
}


def example(name: str, status: str = "") -> Any:
    """Return the example of a schema; None where there is none."""
    return _EXAMPLES.get(f"{name} {status}", _EXAMPLES.get(name))
