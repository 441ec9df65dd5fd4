"""Partials and layouts of a service: included, imported and extended, in every format."""

import pytest

from backend.lib.problems import Problem
from backend.rendering.engine import check, render
from backend.rendering.model import Format, Partial, RenderJob, Source

FOOTER = Partial(
    "X_FOOTER", "mjml", "<mj-section><mj-column><mj-text>Sent to {{ name }}</mj-text></mj-column></mj-section>"
)
MACROS = Partial("X_MACROS", "html", "{% macro strong(text) %}<b>{{ text }}</b>{% endmacro %}")
LAYOUT = Partial(
    "X_LAYOUT",
    "mjml",
    """<mjml>
<mj-head><mj-title>{{ self.title() }}</mj-title></mj-head>
<mj-body>
<mj-section><mj-column><mj-text>{% block title %}News{% endblock %}!</mj-text></mj-column></mj-section>
{% block content %}<mj-section><mj-column><mj-text>default</mj-text></mj-column></mj-section>{% endblock %}
{% include "X_FOOTER" %}
</mj-body>
</mjml>""",
)
_COLUMN = "<mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section>"


def _html(source: str, *partials: Partial, form: Format = "mjml", **fields: object) -> str:
    made = Source(form, source, None, partials)
    check(made, fields or {"name": "Ada"})
    rendered = render(RenderJob("", made, fields or {"name": "Ada"}))
    return rendered.bare_html or rendered.text


def _fault(source: str, *partials: Partial, form: Format = "mjml") -> str:
    with pytest.raises(Problem) as caught:
        check(Source(form, source, None, partials))
    assert caught.value.code == "invalid_template"
    return caught.value.detail


@pytest.mark.parametrize(
    "how", ['<mj-include path="X_FOOTER" />', '{% include "X_FOOTER" %}', "<mj-raw>{% include 'X_FOOTER' %}</mj-raw>"]
)
def test_a_partial_in_mjml_is_put_in_before_it_is_compiled(how: str) -> None:
    if "mj-raw" in how:
        assert "cannot stand inside" in _fault(f"<mjml><mj-body>{how}</mj-body></mjml>", FOOTER)
        return
    html = _html(f"<mjml><mj-body>\n{how}\n{how}</mj-body></mjml>", FOOTER)
    assert html.count("Sent to Ada") == 2
    assert "mj-include" not in html


def test_macros_in_html_serve_mjml() -> None:
    source = "<mjml><mj-body><mj-raw>{% from 'X_MACROS' import strong %}</mj-raw>" + _COLUMN.format(
        "{{ strong(name) }}"
    )
    html = _html(source + "</mj-body></mjml>", MACROS, name="<Ada>")
    assert "<b>&lt;Ada&gt;</b>" in html
    rendered = render(RenderJob("", Source("mjml", source + "</mj-body></mjml>", None, (MACROS,)), {"name": "<Ada>"}))
    assert rendered.text == "<Ada>"


def test_a_layout_in_mjml_has_blocks() -> None:
    source = """{% extends "X_LAYOUT" %}
{% set who = name|upper %}
{% block title %}{{ super() }} for {{ who }}{% endblock %}
{% block content %}<mj-section><mj-column><mj-text>Hello {{ who }}</mj-text></mj-column></mj-section>
{{ super() }}{% endblock %}"""
    html = _html(source, LAYOUT, FOOTER)
    assert "<title>News for ADA</title>" in html
    assert "News for ADA!" in html
    assert html.index("Hello ADA") < html.index("default") < html.index("Sent to Ada")
    assert "News!" in _html('{% extends "X_LAYOUT" %}', LAYOUT, FOOTER)


def test_a_layout_of_a_layout() -> None:
    middle = Partial(
        "X_MIDDLE",
        "mjml",
        "{% extends 'X_LAYOUT' %}{% block content %}"
        + _COLUMN.format("middle {% block inner %}-{% endblock %}")
        + "{% endblock %}",
    )
    html = _html(
        "{% extends 'X_MIDDLE' %}{% block inner %}mine{% endblock %}{% block title %}T{% endblock %}",
        middle,
        LAYOUT,
        FOOTER,
    )
    assert "middle mine" in html
    assert "T!" in html


def test_faults_have_the_line_of_where_they_are() -> None:
    source = "{% extends 'X_LAYOUT' %}\n{% block content %}\n" + _COLUMN.format("\n{{ nobody }}") + "{% endblock %}"
    with pytest.raises(Problem) as caught:
        render(RenderJob("", Source("mjml", source, None, (LAYOUT, FOOTER)), {"name": "Ada"}))
    assert caught.value.detail == "Line 4: the field 'nobody' is missing."
    with pytest.raises(Problem) as caught:
        render(RenderJob("", Source("mjml", source.replace("nobody", "1"), None, (LAYOUT, FOOTER)), {}))
    assert caught.value.detail == "The field 'name' is missing (line 1 of 'X_FOOTER')."
    broken = Partial("X_FOOTER", "mjml", "\n<mj-section><mj-nothing /></mj-section>")
    assert _fault("<mjml><mj-body>\n\n<mj-include path='X_FOOTER' />\n</mj-body></mjml>", broken) == (
        "MJML has no component <mj-nothing> (line 2 of 'X_FOOTER')."
    )
    after = f"<mjml><mj-body>\n<mj-include path='X_FOOTER' />\n<mj-other />{_COLUMN}</mj-body></mjml>"
    assert _fault(after, FOOTER).startswith("Line 3: ")


@pytest.mark.parametrize("form", ["html", "text", "markdown"])
def test_every_other_format_includes_imports_and_extends(form: Format) -> None:
    layout = Partial("X_LAYOUT", form, "A {% block b %}{% endblock %} Z{% include 'X_LINE' %}")
    line = Partial("X_LINE", form, "[{{ name }}]")
    macros = Partial("X_MACROS", form, "{% macro twice(t) %}{{ t }}{{ t }}{% endmacro %}")
    source = "{% extends 'X_LAYOUT' %}{% import 'X_MACROS' as m %}{% block b %}{{ m.twice(name) }}{% endblock %}"
    made = Source(form, source, None, (layout, line, macros))
    rendered = render(RenderJob("", made, {"name": "a*b"}))
    assert rendered.text.startswith("A a*ba*b Z") or form == "markdown"
    assert "a*b" in rendered.text
    assert "Z[a*b]" in rendered.text.replace("\\", "")


def test_a_text_alternative_comes_of_what_was_included() -> None:
    note = Partial("X_NOTE", "html", "<p>Note for <i>{{ name }}</i></p>")
    source = Source("html", "<h1>Hi</h1>{% include 'X_NOTE' %}", None, (note,))
    for want_html in (True, False):
        assert render(RenderJob("", source, {"name": "A&B"}, want_html=want_html)).text == "Hi\n\nNote for A&B"


@pytest.mark.parametrize(
    ("source", "form", "sentence"),
    [
        ("{% include 'X_FOTER' %}", "html", "no partial or layout named 'X_FOTER'; did you mean 'X_FOOTER'?"),
        ("\n{% extends 'X_NONE' %}", "text", "Line 2: extends: there is no partial or layout named 'X_NONE'"),
        ("<mjml><mj-body>\n<mj-include path='X_NONE' /></mj-body></mjml>", "mjml", "Line 2: mj-include takes the name"),
        ("{% include 'X_LOOP' %}", "mjml", "'X_LOOP' contains itself"),
        ("{% include name %}", "html", "Line 1: include takes the name of a partial or layout in quotes"),
    ],
)  # fmt: skip
def test_what_is_missing_or_goes_in_circles_is_refused_by_name(source: str, form: Format, sentence: str) -> None:
    footer = Partial("X_FOOTER", form, "x")
    loop = Partial("X_LOOP", form, "{% include 'X_LOOP' %}")
    if "LOOP" in source:
        source = f"<mjml><mj-body>{source}</mj-body></mjml>"
    assert sentence in _fault(source, footer, loop, form=form)


@pytest.mark.parametrize(
    "text",
    [
        "<mj-section><mj-column><mj-text>{{ name }}</mj-text></mj-column></mj-section>",
        "<mj-column><mj-text>{{ name }}</mj-text></mj-column>",
        "<!-- c --><mj-text>{{ name }}</mj-text>",
        "<mj-raw><p>{{ name }}</p></mj-raw>",
        "<p>{{ name }}</p>",
    ],
)
def test_a_fragment_of_mjml_can_be_looked_at_alone(text: str) -> None:
    made = Source("mjml", text, fragment=True)
    assert check(made, {"name": "Ada"}) == []
    assert "Ada" in str(render(RenderJob("", made, {"name": "Ada"})).html)
    check(Source("mjml", "<mj-attributes><mj-all color='#333' /></mj-attributes>", fragment=True))
    with pytest.raises(Problem, match="Line 2: MJML has no component <mj-nothing>"):
        check(Source("mjml", "<mj-text>x</mj-text>\n<mj-nothing />", fragment=True))


@pytest.mark.parametrize("form", ["mjml", "html", "text"])
def test_a_text_tells_its_partial_the_language(form: Format) -> None:
    words = "{% if language == 'de' %}Gesendet an{% else %}Sent to{% endif %} {{ name }}"
    footer = Partial("X_WORDS", form, _COLUMN.format(words) if form == "mjml" else words)
    around = "<mjml><mj-body>\n{}\n</mj-body></mjml>" if form == "mjml" else "{}"
    for first, seen in (
        ("{% set language = 'de' %}\n", "Gesendet an Ada"),
        ("{% set language = 'en' %}\n", "Sent to Ada"),
    ):
        source = first + "{% include 'X_WORDS' %}"
        assert seen in _html(around.format(source), footer, form=form)
