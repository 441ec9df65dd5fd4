"""Examples of the OpenAPI document that are about windows and mutes, by the names of their schemas."""

from collections.abc import Mapping
from typing import Any

_WINDOW = {
    "hours": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "08:00", "until": "18:00"}],
    "zone": "Europe/London",
    "holidays": ["GB-ENG", "2026-12-24"],
    "except_high": True,
}
_MUTE = {"until": "2026-11-24T08:00:00Z", "reason": "The freezers are being moved"}

_THROTTLE = {"most": 5, "per": "1h", "then": "digest", "digest_template": "LAB_DIGEST", "except_high": True}
_EQUAL = {"then": "digest", "digest_template": "LAB_DIGEST"}

EXAMPLES: Mapping[str, Any] = {
    "MuteRequest": _MUTE | {"drop_older_than": "12h"},
    "SendingRules": {
        "window": _WINDOW | {"open": True, "next_open": "2026-11-23T09:30:00Z"},
        "mute": _MUTE
        | {"by": "ada@lab.example", "since": "2026-11-23T09:30:00Z", "drop_older_than": "12h", "except_high": False},
        "throttle": _THROTTLE,
        "worklist_ticket": "LAB_STAKEHOLDERS",
        "equal_texts": _EQUAL,
    },
    "SendingRulesRequest": {"window": _WINDOW, "throttle": _THROTTLE, "equal_texts": _EQUAL},
}
