"""Examples of senders for the OpenAPI document."""

from typing import Any

EXAMPLES: dict[str, Any] = {
    "SenderList": {
        "senders": [
            {
                "id": "7c0f5a6e-8f5a-4a0e-9a53-4d2f0b6f8c11",
                "kind": "from",
                "address": "lims@lab.example",
                "name": "Laboratory",
                "verified_at": "2026-11-02T11:00:00Z",
                "default": True,
            },
            {
                "id": "1f6f2a3b-64a7-4a8b-8e3c-0a7d5b9e2c44",
                "kind": "reply_to",
                "address": "sample-desk@lab.example",
                "name": "",
                "verified_at": None,
                "default": False,
            },
        ]
    }
}
