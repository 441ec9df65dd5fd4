"""What of a stored content its client sent: of a notification by a policy, not what that policy said at the time."""

import json

from backend.lib import ids

_MARK = b'"policy_id"'
_OF_POLICY = ("channels", "obligation")


def as_sent(content: bytes) -> bytes:
    """Return the canonical form of what was sent."""
    if _MARK not in content:
        return content
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError):
        return content
    if not isinstance(whole, dict) or "policy_id" not in whole:
        return content
    return ids.canonical({name: value for name, value in whole.items() if name not in _OF_POLICY})
