"""Capability keys: an address that shows one service's outbox to whoever holds it, outside production only."""

from backend.lib import inputs, secrecy, settings

_PURPOSE = "outbox-key"
# 128 of the digest's 256 bits: short enough for a terminal, far too many to guess.
_LENGTH = 32


def outbox_key(service_id: int) -> str:
    """Return the key that opens the outbox of this service and nothing else."""
    signature = secrecy.digest(settings.current().secret_key, _PURPOSE, str(service_id))
    return f"{service_id}.{signature[:_LENGTH]}"


def opened_by(key: str) -> int | None:
    """Return the id of the service whose outbox the key opens; nothing for a wrong key and in production."""
    service_id = inputs.row(key.partition(".")[0])
    if settings.current().env == "production" or service_id is None:
        return None
    return service_id if secrecy.same(outbox_key(service_id), key) else None
