"""Examples of matters for the OpenAPI document."""

from typing import Any

EXAMPLES: dict[str, Any] = {
    "ResolveRequest": {"note": "The sensor of freezer 3 was replaced."},
    "Matter": {
        "matter": "freezer-3",
        "state": "RESOLVED",
        "opened_at": "2026-11-23T09:30:00Z",
        "updated_at": "2026-11-23T09:30:02Z",
        "resolved_at": "2026-11-23T09:30:02Z",
        "resolved_by": "monitoring",
        "note": "The sensor of freezer 3 was replaced.",
        "messages_total": 1,
        "waiting": [],
        "messages": [
            {
                "id": "7f0c2f0a-6f5e-8b52-8a38-55f0d4a1d9c3",
                "notification_id": "d5ac6f2e-7b8f-8c33-9d0e-2f4e5a0f1b6c",
                "batch_id": None,
                "channel": "EMAIL",
                "address": "lab-team@lab.example",
                "recipients": ["LAB_STAKEHOLDERS"],
                "template_id": "FREEZER_ALARM",
                "subject": "Freezer 3 is warm",
                "status": "SENT",
                "created_at": "2026-11-23T09:30:00Z",
                "sent_at": "2026-11-23T09:30:02Z",
                "delivered_at": None,
                "waits": None,
            }
        ],
        "next_cursor": None,
    },
}
