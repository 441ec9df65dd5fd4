"""Templates that come as files: their text, and the format that their content and name speak for."""

import re
from pathlib import PurePath

import msgspec

from backend.lib.problems import FieldError, Problem
from backend.registry.shapes import MAX_SOURCE_BYTES

_MJML = re.compile(r"<mjml[\s>]", re.IGNORECASE)
_HTML = re.compile(
    r"<!doctype html|<(html|body|table|div|p|h[1-6]|ul|ol)[\s>]|\{%-?\s*extends\s+\S+\.html", re.IGNORECASE
)
_MARKDOWN = re.compile(r"^(#{1,6} |[*-] |\d+\. |> )|\*\*\S.*\S\*\*|\[[^\]]+\]\([^)]+\)", re.MULTILINE)
_BY_SUFFIX = {".mjml": "mjml", ".html": "html", ".htm": "html", ".md": "markdown", ".markdown": "markdown"}
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")


class TemplateFile(msgspec.Struct, frozen=True):
    """What a file says: its text with plain line feeds, its format, and a name made of the file's."""

    name: str
    format: str
    source: str


def read(file_name: str, raw: bytes) -> TemplateFile:
    """Read a file as a template.

    Raises:
        Problem: ``invalid_value`` for what is empty, larger than 256 KiB, or no text in UTF-8.
    """
    if len(raw) > MAX_SOURCE_BYTES:
        raise _refused(f"The file has {len(raw) // 1024} KiB; a template has at most {MAX_SOURCE_BYTES // 1024} KiB.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _refused(f"The file is no text in UTF-8 (see line {line}); save it as UTF-8 and try again.") from None
    control = _CONTROL.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        raise _refused(f"The file is no text: line {line} holds a control character.")
    if not text.strip():
        raise _refused("The file is empty.")
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    return TemplateFile(_name(file_name), guess(file_name, unified), unified)


def guess(file_name: str, text: str) -> str:
    """Tell a template's format: MJML by its root, the others by the file's name or, without one, by their marks."""
    if _MJML.search(text):
        return "mjml"
    by_name = _BY_SUFFIX.get(PurePath(file_name).suffix.lower())
    if by_name is not None and by_name != "mjml":
        return by_name
    if _HTML.search(text):
        return "html"
    return "text" if file_name.lower().endswith(".txt") or not _MARKDOWN.search(text) else "markdown"


def _name(file_name: str) -> str:
    stem = PurePath(file_name.replace("\\", "/")).stem
    words = " ".join(re.sub(r"[\W_]+", " ", stem).split())[:120]
    return words[:1].upper() + words[1:]


def identifier_from(name: str) -> str:
    """Suggest an identifier for a name; empty where the name has too little for one."""
    words = re.sub(r"[^A-Z0-9]+", "_", name.upper()).lstrip("_0123456789")[:64].rstrip("_")
    return words if len(words) >= 3 else ""


def _refused(detail: str) -> Problem:
    return Problem("invalid_value", detail, errors=[FieldError("/file", "invalid_value", detail)])
