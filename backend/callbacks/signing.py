"""Signatures of callbacks as Standard Webhooks has them (symmetric, ``v1``), with secrets that are sealed at rest."""

import base64
import os
from collections.abc import Sequence
from datetime import datetime

from standardwebhooks import Webhook

from backend.lib import secrecy, settings

_PREFIX = "whsec_"
_SECRET_BYTES = 32


def make_secret() -> str:
    """Make a signing secret: ``whsec_`` and 32 random bytes in base64."""
    return _PREFIX + base64.b64encode(os.urandom(_SECRET_BYTES)).decode()


def seal(secret_id: int, secret: str) -> str:
    """Encrypt a secret for its row."""
    return secrecy.encrypt(settings.current().secret_key, _place(secret_id), secret)


def unseal(secret_id: int, sealed: str) -> str:
    """Decrypt a secret; raise ``ValueError`` if it was sealed with another key."""
    return secrecy.decrypt(settings.current().secret_key, _place(secret_id), sealed)


def _place(secret_id: int) -> str:
    return f"callback_secrets/{secret_id}/sealed"


def headers(secrets: Sequence[str], message_id: str, moment: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers; ``moment`` is this attempt's, aware and in UTC, since the library takes it for UTC."""
    signatures = [Webhook(secret).sign(message_id, moment, body.decode()) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
