"""Capability keys: an address that shows one service's outbox to whoever holds it, outside production only."""

from backend.lib import secrecy, settings

_PURPOSE = "outbox-key"
# 128 of the digest's 256 bits: short enough for a terminal, far too many to guess.
_LENGTH = 32


def outbox_key(service_id: int) -> str:
    """Return the key that opens the outbox of this service and nothing else."""
    signature = secrecy.digest(settings.current().secret_key, _PURPOSE, str(service_id))
    return f"{service_id}.{signature[:_LENGTH]}"


def opened_by(key: str) -> int | None:
    """Return the id of the service whose outbox the key opens; nothing for a wrong key and in production."""
    number = key.partition(".")[0]
    if settings.current().env == "production" or not number.isascii() or not number.isdigit() or len(number) > 18:
        return None
    return int(number) if secrecy.same(outbox_key(int(number)), key) else None
