"""Previews of unsaved texts and their trial on what was really sent: what would break, without showing a value."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from backend.lib.fair_pool import Share
from backend.registry.template_usage import Payload
from backend.registry.templates import TemplateContent, Variant
from backend.reports import template_preview
from backend.reports.template_preview import PreviewFault

SHARE = Share(1)
pytestmark = pytest.mark.usefixtures("database")  # the language and the layout are those of the service


def text(source: str, **more: Any) -> TemplateContent:
    return TemplateContent(**({"name": "Sample", "format": "html", "source": source} | more))


def payload(fields: Any, **more: Any) -> Payload:
    values = {"uid": uuid4(), "at": datetime(2026, 3, 2, tzinfo=UTC), "channel": "EMAIL", "subject": "Given"}
    return Payload(**(values | {"content_type": "html", "fields": fields} | more))


def test_a_preview_has_the_message_or_the_fault_with_its_line() -> None:
    found = template_preview.preview(
        text("<p>{{ name }}</p><img src=https://lab.example/x.png>", subject="S"), {"name": "Ada"}, SHARE, batch=False
    )
    assert found.rendered is not None
    assert (found.rendered.html, found.rendered.subject) == ("<p>Ada</p><img src=https://lab.example/x.png>", "S")
    assert [(one.code, one.line) for one in found.warnings] == [("missing_alt", 1)]
    missing = template_preview.preview(text("<p>\n{{ name }}</p>"), {}, SHARE, batch=False)
    assert missing.fault == PreviewFault("Line 2: the field 'name' is missing.", 2, in_subject=False)
    assert [one.code for one in missing.warnings] == ["unknown_field"]
    broken = template_preview.preview(text("<p>", subject="{{ name"), {}, SHARE, batch=False)
    assert broken.fault is not None
    assert (broken.fault.line, broken.fault.in_subject) == (None, True)
    assert template_preview.refusal(text("{% if %}"), SHARE) is not None
    assert template_preview.refusal(text("{{ name }}"), SHARE) is None


def test_a_text_is_tried_on_each_payload_and_compared_with_the_published_one() -> None:
    payloads = [payload({"name": "Ada", "note": "x"}), payload({"name": "Eve"}), payload({})]
    found = template_preview.try_payloads(text("{{ name }} {{ note }}"), text("{{ name }}"), payloads, SHARE)
    assert [trial.breaks for trial in found.tried] == [
        None,
        "Line 1: the field 'note' is missing.",
        "Line 1: the field 'name' is missing.",
    ]
    assert [trial.broken_before for trial in found.tried] == [False, False, True]
    assert [trial.uid for trial in found.broken] == [payloads[1].uid]


def test_a_message_is_tried_in_the_language_that_it_had() -> None:
    variants = {"de": Variant(source="{{ name }} {{ vermerk }}")}
    given = [payload({"name": "Ada"}, language=tag) for tag in ("de", "en", "fr")]
    found = template_preview.try_payloads(text("{{ name }}", variants=variants), text("{{ name }}"), given, SHARE)
    assert [trial.breaks for trial in found.tried] == ["Line 1: the field 'vermerk' is missing.", None, None]
    assert [trial.uid for trial in found.broken] == [given[0].uid]


def test_a_message_that_would_have_no_subject_breaks() -> None:
    payloads = [payload({}, subject=None), payload({}, subject=None, channel="SLACK")]
    found = template_preview.try_payloads(text("x"), text("x", subject="S"), payloads, SHARE)
    assert [trial.breaks is not None for trial in found.tried] == [True, False]
    assert "needs a subject" in (found.tried[0].breaks or "")


def test_batches_are_tried_with_their_list() -> None:
    source = "{% for field in fields %}{{ field.name }}{% endfor %}"
    found = template_preview.try_payloads(text(source), None, [payload([{"name": "Ada"}, {}], members=2)], SHARE)
    assert found.tried[0].breaks == "Line 1: the field 'name' is missing."


def test_values_are_shown_nowhere() -> None:
    fields = {"patient": "Ada Lovelace", "results": [{"value": 7, "ok": True}], "none": None, "empty": []}
    trial = template_preview.try_payloads(text("{{ patient | date }}"), None, [payload(fields)], SHARE).tried[0]
    assert trial.breaks is not None
    assert "Lovelace" not in str(trial)
    assert [(one.path, one.kind) for one in trial.fields] == [
        ("patient", "text of 12 characters"),
        ("results[0].value", "number"),
        ("results[0].ok", "true or false"),
        ("none", "null"),
        ("empty", "empty list"),
    ]


def test_trying_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_preview, "SECONDS", -1.0)
    found = template_preview.try_payloads(text("x"), None, [payload({}), payload({})], SHARE)
    assert (found.tried, found.left_out) == ([], 2)
