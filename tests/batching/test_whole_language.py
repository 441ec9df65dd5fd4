"""Templates that use the whole language: sent for real, alone and as batches, and joined only by what renders."""

import re
from typing import Any

import pytest

from backend.api.templates import published
from backend.intake.accept import Accepted, IntakeResult, Refused, accept_many
from backend.registry.templates import TemplateContent
from tests.batching.conftest import Harness, body
from tests.batching.test_examples import part
from tests.smtp_server import SmtpServer

MACROS = "{% macro mark(text, kind='b') %}<{{ kind }}>{{ text }}</{{ kind }}>{% endmacro %}"
FOOTER = "<mj-section><mj-column><mj-text>From the desk of {{ fields[0].desk }}</mj-text></mj-column></mj-section>"
SUMMARY = """<mjml><mj-body><mj-section><mj-column><mj-text>
<mj-raw>{% from "X_MACROS" import mark %}<!-- gather --> {% set ns = namespace(kinds=[]) %}
{% for s in fields %}{% for k in s["kinds"] %}{% if k not in ns.kinds %}{% set ns.kinds = ns.kinds + [k] %}{% endif %}
{% endfor %}{% endfor %}</mj-raw>
<ul><mj-raw>{% for k in ns.kinds %}{% set n = namespace(count=0) %}{% for s in fields %}{% if k in s["kinds"] %}
{% set n.count = n.count + 1 %}{% endif %}{% endfor %}</mj-raw>
<li><mj-raw>{{ mark(k) }}: {{ n.count|number(1) }} samples</mj-raw></li>
<mj-raw>{% endfor %}</mj-raw></ul>
First <mj-raw>{{ [fields | length, 5] | min }}</mj-raw>
</mj-text></mj-column></mj-section>
<mj-raw>{% for s in fields[:5] %}</mj-raw>
<mj-section><mj-column><mj-text><mj-raw><a href="{{ s['path'] }}">{{ s["name"] }}</a></mj-raw></mj-text></mj-column></mj-section>
<mj-raw>{% endfor %}</mj-raw>
<mj-include path="X_FOOTER" />
</mj-body></mjml>"""  # noqa: E501
# As others write it, for compilers that take Jinja for text.
KINDS = """<mjml><mj-body><mj-section><mj-column>
<mj-text><ul>
<mj-raw><!-- gather the kinds --> {% set ns = namespace(kinds=[]) %}
{% for s in fields %}{% for k in s["kinds"] %}{% if k not in ns.kinds %}{% set ns.kinds = ns.kinds + [k] %}{% endif %}{% endfor %}{% endfor %}
{% for k in ns.kinds %}{% set n = namespace(count=0) %}{% for s in fields %}{% if k in s["kinds"] %}{% set n.count = n.count + 1 %}{% endif %}{% endfor %}</mj-raw>
<li><mj-raw>{{ k }}: {{ n.count }} samples</mj-raw></li>
<mj-raw>{% endfor %}</mj-raw></ul>
First <mj-raw>{{ [fields | length, 5] | min }}</mj-raw> of them: see below</mj-text>
</mj-column></mj-section>
<mj-raw>{% for s in fields[:5] %}</mj-raw><mj-section><mj-column><mj-text>
<mj-raw><a href="{{ s['path'] }}"> {{ s["name"] }}</a></mj-raw>
</mj-text></mj-column></mj-section><mj-raw>{% endfor %}</mj-raw>
</mj-body></mjml>"""  # noqa: E501
# As a summary is often written: beyond nine the attributes are gathered, and the manifest is named.
GATHERED = """<mjml><mj-body><mj-raw>{% if fields|length >= 10 %}</mj-raw>
<mj-raw>{% set found = fields | map(attribute='attributes') | sum(start=[]) %}
{% set keys = found | map(attribute='key') | unique | list %}</mj-raw>
<mj-section><mj-column><mj-text>
<mj-raw>{% if keys | length == 0 and fields["manifest-id"] %}</mj-raw>never<mj-raw>{{ fields["manifest-id"] }}</mj-raw>
<mj-raw>{% elif keys | length > 5 %}</mj-raw>many
<mj-raw>{% else %}</mj-raw>Samples of <mj-raw>{{ fields[0]["manifest-id"] }}: {{ keys | join(", ") }}</mj-raw>.
<mj-raw>{% endif %}</mj-raw></mj-text></mj-column></mj-section>
<mj-raw>{% else %}</mj-raw>
<mj-raw>{% for field in fields %}</mj-raw><mj-section><mj-column>
<mj-text><mj-raw>{{ field["sample-id"] }}</mj-raw></mj-text>
<mj-raw>{% for attribute in field.attributes %}</mj-raw><mj-text><mj-raw>{{ attribute.key }}</mj-raw></mj-text>
<mj-raw>{% endfor %}</mj-raw></mj-column></mj-section><mj-raw>{% endfor %}</mj-raw>
<mj-raw>{% endif %}</mj-raw></mj-body></mjml>"""


def _publish(harness: Harness, identifier: str, source: str, **more: Any) -> None:
    content = TemplateContent(name=identifier, source=source, **{"format": "mjml", **more})
    published(harness.lab.service_id, "tests", identifier, content)


def _join(harness: Harness, template: str, fields: dict[str, Any]) -> IntakeResult:
    sent = body("", template_id=template, priority="BATCH", aggregator_id="one", fields=fields, subject=...)
    (outcome,) = accept_many([harness.lab.submission(sent)], lambda _priorities: None)
    return outcome


def test_namespaces_macros_and_partials_are_sent_as_a_batch_of_nine(mail_harness: Harness, server: SmtpServer) -> None:
    _publish(mail_harness, "X_MACROS", MACROS, kind="partial", format="html")
    _publish(mail_harness, "X_FOOTER", FOOTER, kind="partial")
    _publish(mail_harness, "X_SUMMARY", SUMMARY, subject="{{ fields|length }} samples")
    for number in range(9):
        kinds = ["late", *(["broken <b>"] if number % 2 else [])]
        path = f"https://lims.example/{number}"
        outcome = _join(
            mail_harness, "X_SUMMARY", {"name": f"S{number}", "kinds": kinds, "path": path, "desk": "Ada & co"}
        )
        assert isinstance(outcome, Accepted)
    mail_harness.clock.forward(seconds=60)
    mail_harness.work()
    (received,) = server.wait_for(1)
    html, text = part(received.parsed, "html"), part(received.parsed, "plain")
    assert "<li><b>late</b>: 9.0 samples</li>" in html
    assert "<b>broken &lt;b&gt;</b>: 4.0 samples" in html
    assert [f"S{number}" in html for number in range(9)] == [True] * 5 + [False] * 4
    assert "From the desk of Ada &amp; co" in html
    for line in ("* late: 9.0 samples", "First 5", "S4 (https://lims.example/4)", "From the desk of Ada & co"):
        assert line in text


@pytest.mark.parametrize("priority", ["NORMAL", "BATCH"])
@pytest.mark.parametrize("form", ["mjml", "html"])
def test_kinds_are_gathered_in_either_format_alone_and_as_a_batch(
    mail_harness: Harness, server: SmtpServer, form: str, priority: str
) -> None:
    source = KINDS if form == "mjml" else re.sub(r"</?mj[\w-]*>", "", KINDS)
    samples = [
        {
            "name": f"S{number}",
            "kinds": ["late", "<broken>"][: 1 + number % 2],
            "path": f"https://lims.example/{number}",
        }
        for number in range(9)
    ]
    if priority == "BATCH":
        _publish(mail_harness, "X_KINDS", source, format=form, subject="Kinds")
        outcomes = [_join(mail_harness, "X_KINDS", sample) for sample in samples]
    else:
        _publish(mail_harness, "X_KINDS", re.sub(r"\bfields\b", "fields.samples", source), format=form, subject="Kinds")
        sent = body("", template_id="X_KINDS", fields={"samples": samples}, subject=...)
        outcomes = accept_many([mail_harness.lab.submission(sent)], lambda _priorities: None)
    assert [type(one) for one in outcomes] == [Accepted] * (9 if priority == "BATCH" else 1)
    mail_harness.clock.forward(seconds=60)
    mail_harness.work()
    (received,) = server.wait_for(1)
    html, text = part(received.parsed, "html"), part(received.parsed, "plain")
    items = [item.strip() for item in re.findall("<li>(.*?)</li>", html, re.DOTALL)]
    assert items == ["late: 9 samples", "&lt;broken&gt;: 4 samples"]
    linked = re.findall('href="(https://lims.example/[0-9])"', html)
    assert linked == [f"https://lims.example/{number}" for number in range(5)]
    for line in ("* late: 9 samples", "* <broken>: 4 samples", "First 5 of them", "S4 (https://lims.example/4)"):
        assert line in text


@pytest.mark.parametrize(("manifest", "accepted"), [(True, 12), (False, 9)])
def test_twelve_without_attributes_join_if_their_batch_can_be_rendered(
    mail_harness: Harness, server: SmtpServer, manifest: bool, accepted: int
) -> None:
    _publish(mail_harness, "X_GATHERED", GATHERED, subject="Samples")
    outcomes = [
        _join(
            mail_harness,
            "X_GATHERED",
            {"sample-id": f"W{number}", "attributes": [], **({"manifest-id": "M1"} if manifest else {})},
        )
        for number in range(12)
    ]
    assert [isinstance(one, Accepted) for one in outcomes] == [number < accepted for number in range(12)]
    for refused in outcomes[accepted:]:
        assert isinstance(refused, Refused)
        assert refused.problem.code == "template_arguments"
        assert "does not render the batch that this notification would join. Line 7: the field 'manifest-id'" in (
            refused.problem.detail
        )
    mail_harness.clock.forward(seconds=60)
    mail_harness.work()
    (received,) = server.wait_for(1)
    text = part(received.parsed, "plain").split()
    assert text == (["Samples", "of", "M1:", "."] if manifest else [f"W{number}" for number in range(9)])
