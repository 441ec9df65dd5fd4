"""What an author is told about a template that works."""

import pytest

from backend.rendering.engine import check
from backend.rendering.model import Format, Source


def _warnings(
    source: str, sample: object = None, *, template_format: Format = "html", batch: bool = False
) -> list[tuple[int | None, str]]:
    return [(warning.line, warning.code) for warning in check(Source(template_format, source), sample, batch=batch)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ a }}\n{{ b }}", [(2, "unknown_field")]),
        ("{{ fields.a }}\n{{ fields.b }}", [(2, "unknown_field")]),
        ("{{ fields['a'] }}\n\n{{ fields['b-c'] }}", [(3, "unknown_field")]),
        ("{{ b is defined }}{{ b|default('x') }}{{ fields.c|d(1) }}", []),
        ("{% if false %}\n{{ b }}{% endif %}", [(2, "unknown_field")]),
        ("{% if a %}{% set b = 1 %}{{ b }}{% endif %}", []),
        ("{% for x in a %}{{ x }}{{ loop.index }}{% endfor %}", []),
        ("\n{% for x in a %}{{ x.y }}{% endfor %}", [(2, "sample_fields")]),
        ("<p>\n<img src='x'></p>{{ a }}", [(2, "missing_alt")]),
        ("<img src='x' alt=''>{{ a }}", []),
        ("<style>\n@import url(https://x.example/)</style>{{ a }}", [(2, "remote_stylesheet")]),
        ("{{ a }}" + "<p>long</p>" * 10_000, [(None, "clipped")]),
    ],
)
def test_warnings_against_a_sample(source: str, expected: list[tuple[int | None, str]]) -> None:
    assert _warnings(source, {"a": "12"}) == expected


def test_without_a_sample_no_field_is_unknown() -> None:
    assert _warnings("{{ a }}{{ fields.b }}") == []


def test_a_batch_knows_only_the_list() -> None:
    assert _warnings("{% for x in fields %}\n{{ x.a }}{{ b }}{% endfor %}", [{"a": 1}], batch=True) == [
        (2, "unknown_field")
    ]
    assert _warnings("{% for x in fields %}\n{{ x.b }}{% endfor %}", [{"a": 1}], batch=True) == [(2, "sample_fields")]
