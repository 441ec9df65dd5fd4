"""Secrets that an installation makes for itself: files in its data directory, for the owner's eyes alone."""

import os
import secrets
from pathlib import Path


def keep(path: Path, value: str) -> str:
    """Return the secret in ``path``; if there is none, write ``value`` there for the owner's eyes alone.

    Two processes that start together agree: the file is made with all its content or not at all.

    Raises:
        OSError: if the file cannot be made or read.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    if not path.exists():
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(value)
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    return path.read_text().strip()
