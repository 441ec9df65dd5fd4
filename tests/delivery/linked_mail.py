"""Mails with links to files, and whoever reads them."""

import re
from email.message import EmailMessage
from typing import Any

from litestar import Litestar
from litestar.testing import TestClient

from tests.attachments import PDF, attachment

LINK = re.compile(r"http://[^\s\"<>)]*(/files/[0-9a-f]{48})")


def linked(name: str = "results.pdf", content: bytes = PDF, **link: Any) -> dict[str, Any]:
    return attachment(name, content, link=link)


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def fetched(reader: TestClient[Litestar], path: str, address: str) -> bytes:
    page = reader.post(path, data={"email": address}).text
    form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    answer = reader.post(f"{path}/download", data=form)
    assert answer.status_code == 200, answer.text
    return answer.content
