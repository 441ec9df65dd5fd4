"""Signatures of callbacks as Standard Webhooks has them (symmetric, ``v1``), with secrets that are sealed at rest."""

import base64
import os
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session
from standardwebhooks import Webhook

from backend.db.models.callbacks import CallbackSecret
from backend.lib import keyring

_PREFIX = "whsec_"
_SECRET_BYTES = 32


def make_secret() -> str:
    """Make a signing secret: ``whsec_`` and 32 random bytes in base64."""
    return _PREFIX + base64.b64encode(os.urandom(_SECRET_BYTES)).decode()


def seal(secret_id: int, secret: str) -> str:
    """Encrypt a secret for its row."""
    return keyring.seal(_sealing_context(secret_id), secret)


def unseal(secret_id: int, sealed: str) -> str:
    """Decrypt a secret; raise ``ValueError`` if it was sealed with a key that is not in use."""
    return keyring.unseal(_sealing_context(secret_id), sealed)


def reseal(session: Session) -> int:
    """Seal anew every secret that is not sealed under the present key, and count them."""
    rows = [row for row in session.scalars(select(CallbackSecret)) if not keyring.is_present(row.sealed)]
    for row in rows:
        row.sealed = seal(row.id, unseal(row.id, row.sealed))
    return len(rows)


def _sealing_context(secret_id: int) -> str:
    return f"callback_secrets/{secret_id}/sealed"


def headers(secrets: Sequence[str], message_id: str, moment: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers; ``moment`` is this attempt's, aware and in UTC, since the library takes it for UTC."""
    signatures = [Webhook(secret).sign(message_id, moment, body.decode()) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
