"""What an author is told about a template that works."""

import pytest

from backend.rendering.engine import check
from backend.rendering.model import Format, Partial, Source


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


def _details(source: Source, sample: object = None, *, batch: bool = False) -> list[tuple[int | None, str, str]]:
    return [(one.line, one.code, one.detail) for one in check(source, sample, batch=batch)]


def test_without_a_sample_it_is_said_what_messages_need() -> None:
    source = Source("html", "{{ a }}{{ fields.b }}{% if c %}{{ c }}{% endif %}{{ d|default('') }}", "{{ e }}")
    ((line, code, detail),) = _details(source)
    assert (line, code) == (None, "no_sample")
    assert "Its messages need a, b, e. Give it sample fields" in detail
    assert _warnings("<p>as it is</p>{% if c %}{{ c }}{% endif %}") == []
    ((_, _, detail),) = _details(Source("text", "{% for one in fields %}{{ one.number }}{% endfor %}"))
    assert "Its messages need one.number." in detail
    many = "".join(f"{{{{ f{n:02} }}}}" for n in range(20))
    assert "f11 and 8 more." in _details(Source("text", many))[0][2]
    assert check(Source("html", "{{ a }}", None, fragment=True)) == []


def test_a_batch_knows_only_the_list() -> None:
    assert _warnings("{% for x in fields %}\n{{ x.a }}{{ b }}{% endfor %}", [{"a": 1}], batch=True) == [
        (2, "unknown_field")
    ]
    assert _warnings("{% for x in fields %}\n{{ x.b }}{% endfor %}", [{"a": 1}], batch=True) == [(2, "unknown_field")]


def test_what_only_a_batch_has_is_tried_with_a_list() -> None:
    source = Source("html", "{{ fields.new|length }}{{ fields.still|length }}", item_key="a")
    ((_, _, new), (_, _, still)) = _details(source, {"a": 1})
    assert new == "Only a batch has 'fields.new', and these are the fields of one notification: try it with a list."
    assert "'fields.still'" in still
    assert _details(source, [{"a": 1}], batch=True) == []


@pytest.mark.parametrize(
    ("source", "sample", "lacking"),
    [
        ("{% if 0 %}\n{{ p.x }}{% endif %}", {"p": {"y": 1}}, [(2, "p.x")]),
        ("{% if 0 %}\n{{ fields.p['x'] }}{% endif %}", {"p": {"y": 1}}, [(2, 'fields.p["x"]')]),
        ("{% for r in rows if 0 %}\n{{ r.b }}{% endfor %}", {"rows": [{"a": 1}, {"c": 1}]}, [(2, "r.b")]),
        ("{% for r in rows %}{% if r.b %}{{ r.b }}{% endif %}{% endfor %}", {"rows": [{"a": 1}]}, [(1, "r.b")]),
        ("{% for r in rows|sort if 0 %}{{ r.b }}{% endfor %}", {"rows": [{"a": 1}]}, [(1, "r.b")]),
        ("{% for k, v in p.items() if 0 %}{{ k }}{{ v.z }}{% endfor %}", {"p": {"one": {"y": 1}}}, [(1, "v.z")]),
        ("{% if 0 %}{{ rows[0].z }}{{ rows|first }}{% endif %}", {"rows": [{"a": 1}]}, [(1, "rows[0].z")]),
        # What some sample has, what is excused, and what cannot be told.
        ("{% for r in rows if 0 %}{{ r.c }}{% endfor %}", {"rows": [{"a": 1}, {"c": 1}]}, []),
        ("{{ p.x|default('-') }}{{ p.x is defined }}{{ p.get('x') }}{{ p.items()|list|length }}", {"p": {"y": 1}}, []),
        ("{% macro m(p) %}{{ p.x }}{% endmacro %}{{ m({'x': 1}) }}{{ p.y }}", {"p": {"y": 1}}, []),
        ("{% set r = {'x': 1} %}{{ r.x }}{% for r in rows if 0 %}{{ r.z }}{% endfor %}", {"rows": [{"a": 1}]}, []),
        ("{{ name.upper() }}{{ name|length }}{{ name.x|default('') }}", {"name": "x"}, []),
        ("{% for g in rows|groupby('a') %}{{ g.grouper }}{% endfor %}", {"rows": [{"a": 1}]}, []),
    ],
)  # fmt: skip
def test_members_that_no_sample_has_are_told_though_no_branch_asks(
    source: str, sample: object, lacking: list[tuple[int, str]]
) -> None:
    found = [(line, detail) for line, code, detail in _details(Source("html", source), sample)]
    assert found == [(line, f"The sample fields have no '{name}'.") for line, name in lacking]


def test_a_list_that_is_empty_in_the_sample_is_told() -> None:
    source = "{% for one in fields %}\n{% for a in one.attributes %}{{ a.name }}{% endfor %}{% endfor %}"
    ((line, code, detail),) = _details(Source("html", source), [{"attributes": []}], batch=True)
    assert (line, code) == (2, "unknown_field")
    assert detail == "'one.attributes' is empty in the sample fields, so what is said of its items was not tried."
    assert _details(Source("html", source), [{"attributes": []}, {"attributes": [{"name": 1}]}], batch=True) == []


def test_what_a_subject_and_a_partial_read_is_told_too() -> None:
    row = Partial("X_ROW", "html", "{{ r.a }}\n{% if 0 %}{{ plate }}{% endif %}")
    source = "{% for r in rows %}{% include 'X_ROW' %}{% endfor %}"
    found = _details(Source("html", source, "{% if 0 %}{{ naem }}{% endif %}", (row,)), {"rows": [{"a": 1}], "name": 1})
    assert [(line, detail) for line, _, detail in found] == [
        (None, "Subject: The sample fields have no 'naem'. Did you mean 'name'?"),
        (None, "The sample fields have no 'plate'. (Line 2 of 'X_ROW'.)"),
    ]


@pytest.mark.parametrize(
    ("source", "line", "name", "instead"),
    [
        ("\n{{ sample-id }}", 2, "sample-id", 'fields["sample-id"]'),
        ("{% if sample-well-id %}{% endif %}", 1, "sample-well-id", 'fields["sample-well-id"]'),
        ("{% for s in rows %}{{ s.sample-id }}{% endfor %}", 1, "sample-id", 's["sample-id"]'),
    ],
)
def test_a_name_with_a_hyphen_is_told_before_any_message(source: str, line: int, name: str, instead: str) -> None:
    for sample in (None, {"sample-id": 1, "rows": [{"sample-id": 1}]}):
        found = [(at, detail) for at, code, detail in _details(Source("html", source), sample) if code == "subtraction"]
        assert found == [(line, f"'{name}' is a subtraction in Jinja: for the field of this name write {instead}.")]
    for meant in ("{{ total - used }}", "{{ total-used }}"):
        assert _warnings(meant, {"total": 2, "used": 1}) == []


@pytest.mark.parametrize("form", ["html", "mjml", "text", "markdown"])
def test_text_outside_of_the_blocks_of_a_layout_is_not_lost_in_silence(form: Format) -> None:
    layout = Partial("X_LAYOUT", form, "<mjml><mj-body>{% block a %}{% endblock %}</mj-body></mjml>")
    block = "{% block a %}<mj-section></mj-section>{% endblock %}"

    def lost(text: str) -> list[tuple[int | None, str]]:
        found = _details(Source(form, text, None, (layout,)), {"name": "Ada"})
        return [(line, detail) for line, code, detail in found if code == "lost_text"]

    assert lost(f"{{% extends 'X_LAYOUT' %}}\n{{% set x = 1 %}}\n\n{block}\n<!-- note\n -->{{# note #}}\n") == []
    ((line, detail),) = lost(f"{{% extends 'X_LAYOUT' %}}\n\nHello {{{{ name }}}}\n\n{block}\n")
    assert line == 3
    assert detail.startswith("This stands outside of the blocks and is left out")
    assert [line for line, _ in lost(f"{{% extends 'X_LAYOUT' %}}\na\n{block}\n{{% if name %}}\nb{{% endif %}}")] == [
        2,
        5,
    ]
    assert [line for line, _ in lost("{% extends 'X_LAYOUT' %}\n{% include 'X_LAYOUT' %}")] == [2]
    macro = "{% extends 'X_LAYOUT' %}\n{% macro m() %}m{% endmacro %}" + block
    assert [line for line, _ in lost(macro)] == ([2] if form == "mjml" else [])
    ((line, detail),) = lost(f"\nbefore\n{{% extends 'X_LAYOUT' %}}{block}")
    assert (line, "written before" in detail) == (2, form != "mjml")


def test_size_is_validated_without_a_sample_where_it_can_be() -> None:
    long = "<p>long</p>" * 10_000
    assert _warnings(long) == [(None, "clipped")]
    told = _details(Source("html", "{{ name }}" + long))
    assert [code for _, code, _ in told] == ["clipped", "no_sample"]
    assert told[0][2].startswith("The HTML of the message has at least 107 KB; Gmail hides")
    page = f"<mj-section><mj-column><mj-text>{{{{ name }}}}{long}</mj-text></mj-column></mj-section>"
    in_mjml = _details(Source("mjml", f"<mjml><mj-body>{page}</mj-body></mjml>"))
    assert "clipped" in [code for _, code, _ in in_mjml]
    assert [code for _, code in _warnings("{{ name }}{% if other %}" + long + "{% endif %}")] == ["no_sample"]
    layout = Partial("X_LAYOUT", "html", "{% block a %}{% endblock %}")
    lost = Source("html", "{% extends 'X_LAYOUT' %}{% block a %}{{ name }}{% endblock %}" + long, None, (layout,))
    assert "clipped" not in [code for _, code, _ in _details(lost)]


def test_what_goes_wrong_without_any_field_is_told() -> None:
    ((line, code, detail),) = _details(Source("html", "\n{{ None|length }}"))
    assert (line, code) == (2, "sample_fields")
    assert detail.startswith("Every message: Line 2: null has no length: ask for it first")
    assert [code for _, code in _warnings("{{ None|length }}{{ name }}")] == ["no_sample"]
