"""The accessioning examples as batches: what arrives is made of buffered notifications, in HTML and MJML."""

from email.message import EmailMessage
from typing import Any

import pytest

from backend.rendering.starters import starters
from tests.batching.conftest import Harness
from tests.smtp_server import SmtpServer

ERRORS = """<!DOCTYPE html>
<html><body>
<h1>Errors in accessioning</h1>
<ul>{% for field in fields %}
  <li>Sample {{ field["sample-id"] }}
    <ul>{% for attribute in field.attributes %}<li>{{ attribute.key }} is {{ attribute.value }}</li>{% endfor %}</ul>
  </li>{% endfor %}
</ul>
</body></html>"""


def fields(number: int) -> dict[str, Any]:
    wrong = ("Country", "United Kindm") if number % 2 else ("Reference genome", "<none>")
    return {"sample-id": f"WTX-{number:04d}", "attributes": [{"key": wrong[0], "value": wrong[1]}]}


def arrived(harness: Harness, server: SmtpServer, count: int, **changes: Any) -> EmailMessage:
    """Buffer notifications about samples, let their batch go, and return the one message of it."""
    for number in range(1, count + 1):
        harness.accept("", fields=fields(number), aggregator_id="21784312", **changes)
    harness.clock.forward(seconds=60)
    harness.work()
    (received,) = server.wait_for(1)
    return received.parsed


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    content: str = found.get_content()
    return content


def test_the_html_example_as_text_and_as_html(mail_harness: Harness, server: SmtpServer) -> None:
    mail_harness.lab.template("X_ERRORS", ERRORS, format="html")
    text = arrived(mail_harness, server, 2, template_id="X_ERRORS", content_type="text")
    assert text.get_content_type() == "text/plain"
    body = part(text, "plain")
    assert body.index("WTX-0001") < body.index("Country is United Kindm") < body.index("WTX-0002")
    assert "Reference genome is <none>" in body
    server.messages.clear()
    html = part(arrived(mail_harness, server, 2, template_id="X_ERRORS"), "html")
    assert "<li>Country is United Kindm</li>" in html
    assert "Reference genome is &lt;none&gt;" in html


@pytest.mark.parametrize("count", [3, 40])
def test_the_mjml_example_for_few_and_for_many(mail_harness: Harness, server: SmtpServer, count: int) -> None:
    (starter,) = (one for one in starters() if one.identifier == "ACCESSIONING_FAILURES")
    mail_harness.lab.template("X_MANY", starter.source, format=starter.format, subject=starter.subject)
    message = arrived(mail_harness, server, count, template_id="X_MANY", subject=...)
    assert message["Subject"] == f"Accessioning failed for {count} samples"
    html = part(message, "html")
    assert f"{count} samples failed" in html
    assert "mj-" not in html.replace("mj-column", "").replace("mj-outlook", "")
    shown = [f"WTX-{number:04d}" for number in range(1, count + 1)][:20]
    memberships = [html.index(name) for name in shown]
    assert memberships == sorted(memberships)
    assert ("United Kindm" in html) is (count < 10)
    assert (f"and {count - 20} more" in html) is (count > 20)
