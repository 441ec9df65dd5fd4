"""Files to attach, as a client system writes them."""

from base64 import b64encode
from typing import Any

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
PDF = b"%PDF-1.7\n" + b"a report\n" * 20


def attachment(name: str = "report.pdf", content: bytes | str = PDF, **changes: Any) -> dict[str, Any]:
    """Write an attachment; octets become base64, and a text stands as it is."""
    kind = "image/png" if name.endswith(".png") else "application/pdf" if name.endswith(".pdf") else "text/plain"
    encoded = content if isinstance(content, str) else b64encode(content).decode()
    return {"name": name, "type": kind, "content": encoded} | changes
