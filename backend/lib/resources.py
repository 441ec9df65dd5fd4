"""Where the files are that are no code: beside the package in a checkout, inside it where a wheel was installed."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
INSTALLED = "resources"


def folder(name: str) -> Path:
    """Return a folder such as ``portal_templates``."""
    installed = _PACKAGE / INSTALLED / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
