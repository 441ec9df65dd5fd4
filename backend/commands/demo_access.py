"""How the demo service is reached, as the first start has kept it."""

import json
from pathlib import Path

import msgspec

from backend.lib import settings


class DemoAccess(msgspec.Struct, frozen=True):
    """How the demo service is reached; kept in the data directory for the owner's eyes alone."""

    service_id: int
    email: str
    password: str
    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return f"DemoAccess(service_id={self.service_id})"


def _file() -> Path:
    return settings.current().data_dir / "demo.json"


def present() -> DemoAccess | None:
    """Return how the demo service is reached, if this data directory has one."""
    try:
        return msgspec.json.decode(_file().read_bytes(), type=DemoAccess)
    except FileNotFoundError:
        return None


def keep(access: DemoAccess) -> None:
    """Keep it for the owner's eyes alone."""
    settings.keep_secret(_file(), json.dumps(msgspec.to_builtins(access)))
