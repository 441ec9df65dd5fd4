"""From a source and fields to a message, in each format; faults in one sentence."""

import pickle

import pytest

from backend.lib.problems import Problem
from backend.rendering.engine import check, render, render_many
from backend.rendering.model import Format, Rendered, RenderJob, Source

EVIL = "<script>alert('1')</script>"


def _render(
    template_format: Format, source: str, fields: object, *, subject: str | None = None, batch: bool = False
) -> Rendered:
    return render(RenderJob("test", Source(template_format, source, subject), fields, batch))


@pytest.mark.parametrize(
    ("template_format", "source"),
    [
        ("html", "<p title='{{ x }}'>{{ x }}</p>"),
        (
            "mjml",
            (
                "<mjml><mj-body><mj-section><mj-column><mj-text>{{ x }}</mj-text>"
                "</mj-column></mj-section></mj-body></mjml>"
            ),
        ),
        ("markdown", "Say *{{ x }}*"),
    ],
)
def test_values_are_escaped(template_format: Format, source: str) -> None:
    rendered = _render(template_format, source, {"x": EVIL})
    assert rendered.html is not None
    assert "<script" not in rendered.html
    assert "&lt;script&gt;" in rendered.html
    assert EVIL in rendered.text


def test_text_and_subject_are_not_escaped() -> None:
    rendered = _render("text", "{{ x }}\n", {"x": "a < b & c"}, subject="{{ x }}")
    assert (rendered.subject, rendered.bare_html, rendered.text) == ("a < b & c", None, "a < b & c")


@pytest.mark.parametrize(
    "value",
    ["one\r\nBcc: x@y.example", "one\nBcc: x@y.example", "one\u2028Bcc: x@y.example", " one \x00 Bcc: x@y.example\r\n"],
)
def test_subjects_are_one_line(value: str) -> None:
    assert _render("text", "", {"x": value}, subject="{{ x }}").subject == "one Bcc: x@y.example"


@pytest.mark.parametrize(
    "value",
    [
        "[click](http://evil.example)",
        "![x](http://evil.example/p.png)",
        "<http://evil.example>",
        "# heading",
        "*a* _b_ `c`",
        "- a",
        "1. a",
        "> a",
        "x\n\n# y",
        "---",
        "a\\*b*",
    ],
)
def test_values_have_no_markdown(value: str) -> None:
    rendered = _render("markdown", "{{ x }}", {"x": value})
    assert rendered.bare_html is not None
    for tag in ("<a", "<img", "<h1", "<em", "<strong", "<code", "<li", "<blockquote", "<hr", "<h2"):
        assert tag not in rendered.bare_html
    assert " ".join(rendered.text.split()) == " ".join(value.split())


def test_identifiers_and_addresses_stay_readable_in_markdown() -> None:
    value = "WTX_004417 at https://x.example/a_b?c=1&d=2 by a.b@x.example, 5 - 3 (so)"
    assert _render("markdown", "* {{ x }}", {"x": value}).markdown == f"* {value}"


def test_html_in_markdown_is_shown_not_obeyed() -> None:
    rendered = _render("markdown", "<b>x</b> **y**", {})
    assert rendered.bare_html == "<p>&lt;b&gt;x&lt;/b&gt; <strong>y</strong></p>\n"


@pytest.mark.parametrize(
    "name", ["attributes", "items", "values", "keys", "get", "pop", "update", "copy", "class", "title"]
)
def test_members_come_before_methods(name: str) -> None:
    fields = {name: [{name: "found"}]}
    assert _render("text", f"{{{{ fields.{name}[0].{name} }}}}", fields).text == "found"
    assert _render("text", f"{{{{ fields['{name}'][0]['{name}'] }}}}", fields).text == "found"


def test_members_are_variables_but_never_take_the_place_of_fields() -> None:
    fields = {"a": 1, "fields": "no", "not-a-name": 2}
    assert (
        _render("text", "{{ a }} {{ fields.a }} {{ fields['not-a-name'] }} {{ fields.fields }}", fields).text
        == "1 1 2 no"
    )


def test_a_batch_has_the_list_alone() -> None:
    members = [{"a": 1}, {"a": 2}]
    assert _render("text", "{% for one in fields %}{{ one.a }}{% endfor %}", members, batch=True).text == "12"
    with pytest.raises(Problem, match="the field 'a' is missing"):
        _render("text", "{{ a }}", members, batch=True)
    with pytest.raises(Problem, match="list of mappings"):
        _render("text", "x", {"a": 1}, batch=True)
    with pytest.raises(Problem, match="mapping of fields"):
        _render("text", "x", members)


@pytest.mark.parametrize(
    ("source", "detail"),
    [
        ("\n\n{{ sample_id }}", "Line 3: the field 'sample_id' is missing; write fields[\"sample-id\"]."),
        ("{{ fields.sampleid }}", "Line 1: the field 'sampleid' is missing; did you mean 'sample-id'?"),
        ("a\n{% for x in many %}\n{{ x.y }}{% endfor %}", "Line 3: the field 'y' is missing."),
        ("{{ many.y }}", "Line 1: a list has no field 'y'; loop over it or take one item."),
        ("{{ many[7] }}", "Line 1: the list has no item 7; it has 1."),
        ("\n{{ number.y }}", "Line 2: a number has no field 'y'."),
        ("{{ many + 'a' }}", "Line 1: '+' joins a list with a list alone: write brackets around one item, [item]."),
        ("{% for x in number %}{% endfor %}", "Line 1: a list is needed here, and this is a number."),
        ("{{ 1 / 0 }}", "Line 1: division by zero: ask first whether the number is 0."),
    ],
)
@pytest.mark.parametrize("template_format", ["html", "text", "markdown"])
def test_faults_name_line_and_reason(template_format: Format, source: str, detail: str) -> None:
    fields = {"sample-id": 1, "many": [{"x": 1}], "number": 5}
    with pytest.raises(Problem) as caught:
        _render(template_format, source, fields)
    assert caught.value.code == "template_arguments"
    assert caught.value.detail == detail


def test_what_may_be_missing_may_be_missing() -> None:
    source = "{{ a is defined }} {{ a|default('x') }} {% if b is not defined %}y{% endif %} {{ fields.c|d('z') }}"
    assert _render("text", source, {}).text == "False x y z"


@pytest.mark.parametrize(
    ("source", "subject", "detail", "pointer"),
    [
        ("a\n{% if x %}\nb", None, "Line 2: {% if x %} is never closed", "/source"),
        ("a\n{% endfor %}", None, "Line 2: ", "/source"),
        ("a\n{{ x|nothing }}", None, "Line 2: there is no filter named 'nothing'.", "/source"),
        ("a\n{{ x is nothing }}", None, "Line 2: there is no test named 'nothing'.", "/source"),
        ("a", "{{ x", "Subject: ", "/subject"),
        (
            "a",
            "{% extends 'base.html' %}",
            "Subject: extends: there is no partial or layout named 'base.html'.",
            "/subject",
        ),
    ],
)
def test_templates_that_cannot_work_are_refused(source: str, subject: str | None, detail: str, pointer: str) -> None:
    with pytest.raises(Problem) as caught:
        check(Source("html", source, subject))
    assert caught.value.code == "invalid_template"
    assert caught.value.detail.lower().startswith(detail.lower())
    assert [error.pointer for error in caught.value.errors] == [pointer]


def test_layouts_can_be_extended_in_their_own_format_only() -> None:
    source = (
        "{% extends 'base.html' %}{% block title %}T {{ x }}{% endblock %}{% block content %}[{{ x }}]{% endblock %}"
    )
    html = _render("html", source, {"x": "<i>"}).html
    assert html is not None
    assert "<title>T &lt;i&gt;</title>" in html
    assert "[&lt;i&gt;]" in html
    for other in ("text", "markdown", "mjml"):
        with pytest.raises(Problem):
            _render(other, source, {"x": 1})  # type: ignore[arg-type]
    with pytest.raises(Problem, match="Line 2: the field 'y' is missing"):
        _render("html", "{% extends 'base.html' %}\n{% block content %}{{ y }}{% endblock %}", {})


def test_one_bad_job_spoils_no_other() -> None:
    source = Source("text", "{{ x }}")
    jobs = [RenderJob("k", source, fields) for fields in ({"x": 1}, {}, {"x": 3})]
    first, second, third = render_many(jobs)
    assert isinstance(first, Rendered)
    assert isinstance(third, Rendered)
    assert (first.text, third.text) == ("1", "3")
    assert isinstance(second, Problem)
    assert second.detail == "Line 1: the field 'x' is missing."


def test_one_key_never_shows_another_source() -> None:
    assert render(RenderJob("same", Source("text", "a"), {})).text == "a"
    assert render(RenderJob("same", Source("text", "b"), {})).text == "b"


def test_jobs_and_results_cross_into_another_process() -> None:
    job = RenderJob("k", Source("html", "{{ x }}", "s"), {"x": [1, {"y": None}]})
    assert pickle.loads(pickle.dumps(job)) == job  # noqa: S301 - our own bytes
    rendered = render(job)
    assert pickle.loads(pickle.dumps(rendered)) == rendered  # noqa: S301


def test_windows_line_breaks_count_once() -> None:
    with pytest.raises(Problem, match=r"^Line 3: "):
        _render("html", "a\r\nb\r\n{{ x }}", {})
