"""MJML with Jinja in it: what the compiler must not lose, break or pass over in silence."""

import re
from pathlib import Path

import pytest

from backend.lib.problems import Problem
from backend.rendering.engine import check, render
from backend.rendering.model import RenderJob, Source

FIXTURE = Path(__file__).parents[1] / "fixtures" / "rendering" / "sample_report.mjml"
_CONDITIONAL = re.compile(r"<!--\[if [^\]]*\]>(?!<!-->)(.*?)<!\[endif\]-->", re.DOTALL)


def _mjml(body: str, head: str = "") -> str:
    return f"<mjml><mj-head>{head}</mj-head><mj-body>{body}</mj-body></mjml>"


def _column(content: str) -> str:
    return f"<mj-section><mj-column>{content}</mj-column></mj-section>"


def _html(source: str, fields: object = None, *, batch: bool = False) -> str:
    html = render(RenderJob("test", Source("mjml", source), {} if fields is None else fields, batch)).html
    assert html is not None
    return html


def _samples(count: int) -> list[dict[str, object]]:
    return [
        {"sample-id": f"S-{number}", "plate": "P", "manifest-id": "M", "attributes": [{"key": "k", "value": "<v>"}]}
        for number in range(count)
    ]


def _assert_whole(html: str) -> None:
    """Say that nothing of MJML or Jinja is left and that Outlook's conditional comments are balanced."""
    assert not re.search(r"</?mj-|\{%|\{\{|q[0-9a-f]{20}x", html)
    openings = re.findall(
        r"<!--\[if [^\]]*\]>|<!\[endif\]-->", re.sub(r"<!--\[if [^\]]*\]><!-->|<!--<!\[endif\]-->", "", html)
    )
    assert openings, "MJML writes conditional comments"
    assert [mark.startswith("<!--[if") for mark in openings] == [True, False] * (len(openings) // 2)
    for inside in _CONDITIONAL.findall(html):
        assert "<!--" not in inside
    outlook = re.sub(r"<!--\[if (?:mso \| IE|mso)\]>|<!\[endif\]-->", "", html)
    for tag in ("table", "tr", "td"):
        assert len(re.findall(rf"<{tag}[\s>]", outlook)) == outlook.count(f"</{tag}>"), tag


@pytest.mark.parametrize("count", [0, 1, 3, 9, 10, 12])
def test_a_template_with_every_construct(count: int) -> None:
    html = _html(FIXTURE.read_text(encoding="utf-8"), _samples(count), batch=True)
    _assert_whole(html)
    assert html.count("Sample\n") == (count if count < 10 else 0)
    assert "box-shadow: 0 4px 16px rgba(20, 30, 40, 0.2)" in html
    assert "🧪" in html
    assert "&nbsp;samples &amp; wrote" in html
    assert ("&lt;v&gt;" in html) == (0 < count < 10)
    assert "different samples, from S-0 to" in html or count < 10


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ("{% for x in xs %}" + _column("<mj-text>[{{ x }}]</mj-text>") + "{% endfor %}", ["[1]", "[2]"]),
        (
            "<mj-wrapper>{% for x in xs %}" + _column("<mj-text>[{{ x }}]</mj-text>") + "{% endfor %}</mj-wrapper>",
            ["[1]", "[2]"],
        ),
        (_column("{% for x in xs %}<mj-text>[{{ x }}]</mj-text>{% endfor %}"), ["[1]", "[2]"]),
        (
            "<mj-section>{% for x in xs %}<mj-column><mj-text>[{{ x }}]</mj-text></mj-column>{% endfor %}</mj-section>",
            ["[1]", "[2]"],
        ),
        (
            _column("<mj-table>{% for x in xs %}<tr><td>[{{ x }}]</td></tr>{% endfor %}</mj-table>"),
            ["<tr><td>[1]</td></tr>"],
        ),
        (
            _column("<mj-text><a {% if a < b %}class='c'{% endif %} href='{{ url }}'>x</a></mj-text>"),
            ["class='c'", "?a=1&amp;b=2"],
        ),
        (_column("<mj-text><h{{ a }}>x</h{{ a }}></mj-text>"), ["<h1>x</h1>"]),
        (_column("<mj-text>{{ a < b }} {{ '<' }} {{ \"'\" }}</mj-text>"), ["True &lt; &#39;"]),
        (_column("<mj-text>Fish & chips<br>one<p>two</mj-text>"), ["Fish & chips<br>one<p>two"]),
        (_column("<mj-text><b style='color:red;\n   margin:0'>x</b></mj-text>"), ["style='color:red;\n   margin:0'"]),
        (
            _column("<mj-image src='{{ url }}' alt='{{ word }}' href='https://x.example/?q={{ word }}&r=1'/>"),
            ["?a=1&amp;b=2", 'alt="say &#34;hi&#34;"', "q=say &#34;hi&#34;&"],
        ),
        ("<mj-section background-color='{{ colour }}' css-class='c-{{ a }}'></mj-section>", ["#abcdef", "c-1"]),
        (_column("<mj-raw><!--[if mso]><i>{{ word }}</i><![endif]--></mj-raw>"), ["<!--[if mso]><i>say"]),
        (_column("<mj-text>a<!-- note -->b<mj-raw>c</mj-raw></mj-text>"), ["abc"]),
        ("<!-- {% if a %} -->" + _column("<mj-text>in</mj-text>") + "<!-- {% endif %} -->", ["in"]),
        (_column("<mj-button href='{{ url }}'>{% raw %}{{ kept }}{% endraw %}</mj-button>"), ["{{ kept }}"]),
    ],
)
def test_jinja_survives_wherever_it_stands(body: str, seen: list[str]) -> None:
    fields = {
        "xs": [1, 2],
        "a": 1,
        "b": 2,
        "url": "https://x.example/?a=1&b=2",
        "word": 'say "hi"',
        "colour": "#abcdef",
    }
    html = _html(_mjml(body), fields)
    for text in seen:
        assert text in html


def test_jinja_in_the_head() -> None:
    head = (
        "<mj-title>T {{ t }}</mj-title><mj-preview>P {{ t }}</mj-preview>{% set c = 'red' %}"
        "<mj-style>.x { color: {{ c }} }</mj-style>"
        "<mj-style inline='inline'>.y > div { border-color: {{ t }} }</mj-style>"
    )
    html = _html(_mjml(_column("<mj-text css-class='y'>x</mj-text>"), head), {"t": "blue"})
    assert "<title>T blue</title>" in html
    assert "P blue" in html
    assert ".x { color: red }" in html
    assert re.search(r'<div style="[^"]*border-color: ?blue', html)
    assert "data-inline" not in html


def test_jinja_before_and_after_the_root() -> None:
    source = "{% set x = 5 %}<!-- c -->\n" + _mjml(_column("<mj-text>[{{ x }}]</mj-text>")) + "\n{# end #}"
    assert "[5]" in _html(source)


def test_placeholders_do_not_change_widths() -> None:
    fixed = "<mj-section>{}<mj-column><mj-text>a</mj-text></mj-column>{}<mj-column width='33%'/>{}</mj-section>"
    with_jinja = _html(_mjml(fixed.format("{% if 1 %}", "{{ '' }}", "{% endif %}")))
    without = _html(_mjml(fixed.format("", "", "")))
    widths = re.compile(r"width[=:]\s*\"?[\d.]+(?:px|%)?|mj-column-[\w-]+")
    assert widths.findall(with_jinja) == widths.findall(without)


def test_html_between_sections_is_seen_outside_outlook_too() -> None:
    html = _html(
        _mjml("<mj-wrapper><mj-raw><hr class='{{ c }}'></mj-raw>" + _column("<mj-text>x</mj-text>") + "</mj-wrapper>"),
        {"c": "mark"},
    )
    assert "mark" in re.sub(r"<!--.*?-->", "", html, flags=re.DOTALL)
    _assert_whole(html)


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("<mjml>\n<mj-body>\n<mj-sektion/>\n</mj-body></mjml>", 3, "mj-sektion"),
        ("<mjml>\n<mj-body>\n<mj-text>x</mj-text></mj-body></mjml>", 3, "cannot stand inside <mj-body>"),
        ("<mjml>\n<mj-body>\n<mj-section>\n<mj-text>x\n</mj-section></mj-body></mjml>", 4, "never closed"),
        ("<mjml>\n<mj-body>\n<mj-section>\n</mj-column></mj-section></mj-body></mjml>", 4, "mj-column"),
        ("<mjml>\n<mj-body>\n<div>x</div></mj-body></mjml>", 3, "<div>"),
        ("<mjml>\n<mj-body>\n<mj-include path='/etc/passwd'/></mj-body></mjml>", 3, "mj-include"),
        ("<mjml>\n<mj-body>\n<!-- open</mj-body></mjml>", 3, "comment is never closed"),
        ("<mjml>\n<mj-body>\n{{ a\n b c }}</mj-body></mjml>", 4, "'b' cannot stand here"),
        ("<mjml>\n<mj-body>\n{% for x in y %}\n</mj-body></mjml>", 3, "endfor"),
        ("<mjml>\n<mj-body>\n<mj-section {{ a }}></mj-section></mj-body></mjml>", 3, ""),
        (
            (
                "<mjml>\n<mj-body><mj-section><mj-column>\n<mj-carousel>{% if 1 %}\n{% endif %}</mj-carousel>"
                "</mj-column></mj-section></mj-body></mjml>"
            ),
            3,
            "mj-carousel",
        ),
        ("<mjml>\n<mj-body>{{ a\n}}<mj-section\n a='1'\n =b /></mj-body></mjml>", 3, ""),
        ("<mjml></mjml>", 1, "mj-body"),
        ("<html></html>", 1, "<mjml>"),
        (
            '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><mjml><mj-body>&e;</mj-body></mjml>',
            None,
            "outside of <mjml>",
        ),
    ],
)
def test_faults_are_refused_with_their_line(source: str, line: int | None, reason: str) -> None:
    with pytest.raises(Problem) as caught:
        check(Source("mjml", source))
    assert caught.value.code == "invalid_template"
    assert reason in caught.value.detail
    if line is not None:
        assert caught.value.detail.startswith(f"Line {line}: ")


def test_faults_of_rendering_have_the_line_of_the_author() -> None:
    body = _column("\n<mj-text>{{ a }}\n{{ a }}<br>\n{{ sample_id }}</mj-text>")
    with pytest.raises(Problem) as caught:
        _html(_mjml(body), {"a": 1})
    assert caught.value.code == "template_arguments"
    assert caught.value.detail == "Line 4: the field 'sample_id' is missing."
    assert [(error.pointer, error.code) for error in caught.value.errors] == [("/source", "template_arguments")]


def test_lines_are_right_after_hidden_lines_and_long_tags() -> None:
    source = "<!-- one\ntwo -->\n<mjml>\n<mj-body>\n<mj-section\n css-class='a'>\n<mj-column>\n<mj-image"
    source += "\n src='x'\n/>{{ b\n}}\n"
    source += "<mj-text>\n<i>{{ c }}</i>\n</mj-text></mj-column></mj-section></mj-body></mjml>"
    with pytest.raises(Problem, match=r"^Line 13: the field 'c' is missing\.$"):
        _html(source, {"b": 1})
    assert [(warning.line, warning.code) for warning in check(Source("mjml", source), {"b": 1, "c": 2})] == [
        (8, "missing_alt")
    ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (_column("\n<mj-image src='x'/>"), "missing_alt"),
        (_column("\n<mj-image src='x' alt='a' alt='b'/>"), "doubled_attribute"),
        (_column("\n<mj-image src='x' alt='a' width='{{ 5 }}px'/>"), "ignored_expression"),
        (_column("\nlost<mj-text>x</mj-text>"), "lost_text"),
        (_column("<mj-text>\n<img src='x'></mj-text>"), "missing_alt"),
        (_column("<mj-raw>\n<link rel='stylesheet' href='https://x.example/'></mj-raw>"), "remote_stylesheet"),
        ("<mj-section>\n{% for x in [1] %}<mj-column />{% endfor %}</mj-section>", "uncertain_width"),
        ("<mj-section><mj-group>\n{% if 1 %}<mj-column />{% endif %}</mj-group></mj-section>", "uncertain_width"),
    ],
)
def test_warnings_have_their_line(body: str, code: str) -> None:
    assert [(warning.line, warning.code) for warning in check(Source("mjml", _mjml(body)))] == [(2, code)]


def test_the_first_of_a_doubled_attribute_counts_and_a_missing_alt_is_empty() -> None:
    html = _html(_mjml(_column("<mj-image src='x' alt='first' alt='second'/><mj-image src='y'/>")))
    assert 'alt="first"' in html
    assert 'alt=""' in html
    assert "second" not in html


def test_own_style_sheets_stay_and_only_the_inline_one_is_written_into_elements() -> None:
    head = "<mj-style inline='inline'>.a div { letter-spacing: 2px }</mj-style><mj-style>.b { color: navy }</mj-style>"
    html = _html(_mjml(_column("<mj-text css-class='a b'>x</mj-text>"), head))
    assert re.search(r'<div style="[^"]*letter-spacing: ?2px', html)
    assert ".b { color: navy }" in html
    assert "@media only screen" in html
    assert 'style="color: navy' not in html
    assert ".a div" not in html


@pytest.mark.parametrize("unclosed", ["<mj-text>" * 20_000, "<!--" * 50_000, "<mj-text '" * 20_000, "<a " * 60_000])
def test_broken_sources_are_refused_quickly(unclosed: str) -> None:
    with pytest.raises(Problem):
        check(Source("mjml", f"<mjml><mj-body>{unclosed}</mj-body></mjml>"))


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            _column("\n<mj-text colour='red'>x</mj-text>"),
            "<mj-text> has no attribute 'colour', so it does nothing. Did",
        ),
        ("\n<mj-section href='x' />", "<mj-section> has no attribute 'href', so it does nothing."),
    ],
)
def test_attributes_that_do_nothing_are_told(body: str, detail: str) -> None:
    (warning,) = check(Source("mjml", _mjml(body)))
    assert (warning.line, warning.code) == (2, "unknown_attribute")
    assert warning.detail.startswith(detail)


def test_defaults_and_classes_may_have_any_attribute() -> None:
    head = "<mj-attributes><mj-all colour='red' /><mj-class name='a' any='x' /></mj-attributes>"
    assert check(Source("mjml", _mjml(_column("<mj-text mj-class='a' css-class='b'>x</mj-text>"), head))) == []


def test_partials_of_the_library_can_be_included() -> None:
    head = "<mj-include path='fonts.mjml' />"
    source = _mjml(_column("<mj-text>x</mj-text>") + '\n<mj-include\n path="footer.mjml"></mj-include>{{ a }}', head)
    html = _html(source, {"a": ""})
    assert "This message was sent automatically" in html
    assert "font-family:Arial, Helvetica, sans-serif;font-size:15px" in html
    with pytest.raises(Problem, match=r"^Line 3: the field 'a' is missing"):
        _html(source)


@pytest.mark.parametrize("path", ["", "x.mjml", "../layouts/base.html", "/etc/passwd", "{{ a }}", "footer"])
def test_nothing_else_can_be_included(path: str) -> None:
    with pytest.raises(Problem, match=r"^Line 2: mj-include takes the name of a partial"):
        check(Source("mjml", _mjml(f"\n<mj-include path='{path}' />")))


def test_defaults_of_a_class_reach_what_stands_inside() -> None:
    head = "<mj-attributes><mj-class name='a'><mj-text color='#010203' /></mj-class></mj-attributes>"
    body = "<mj-section mj-class='a'><mj-column><mj-text>x</mj-text></mj-column></mj-section>"
    assert "color:#010203" in _html(_mjml(body, head))


def test_the_html_is_no_longer_than_it_need_be() -> None:
    text = "<mj-text>\n\n      {{ a }}\n      <b>x</b>\n      y</mj-text>"
    html = _html(_mjml(_column(text) + _column(text)), {"a": ""})
    assert "<![endif]--><!--[if mso | IE]>" not in html
    assert "\n      <b>" not in html
    assert "\n\n" not in html
    assert "\n      <b>" in _html(_mjml(_column(text) + _column("<mj-text><pre>a</pre></mj-text>")), {"a": ""})


def test_a_message_without_a_title_gets_its_subject() -> None:
    job = RenderJob("title", Source("mjml", _mjml(_column("<mj-text>x</mj-text>")), "A & {{ a }}"), {"a": "<b>"})
    assert "<title>A &amp; &lt;b&gt;</title>" in (render(job).html or "")


def test_the_title_is_that_of_the_subject_used_and_never_empty() -> None:
    source = Source("mjml", _mjml(_column("<mj-text>x</mj-text>")), "Ours")
    rendered = render(RenderJob("title", source, {}, subject="A & B"))
    assert rendered.subject == "Ours"
    assert "<title>A &amp; B</title>" in (rendered.html or "")
    bare = Source("mjml", source.source)
    assert "<title>Notification</title>" in (render(RenderJob("title", bare, {})).html or "")
    assert "<title>Sent</title>" in (render(RenderJob("title", bare, {}, subject="Sent")).html or "")
    own = Source("mjml", _mjml("", "<mj-title>Own</mj-title>"), "Ours")
    assert "<title>Own</title>" in (render(RenderJob("title", own, {}, subject="Sent")).html or "")


@pytest.mark.parametrize(
    ("root", "lang"), [("<mjml>", "en"), ("<mjml lang=''>", "en"), ("<mjml lang='de-CH'>", "de-CH")]
)
def test_the_language_is_that_of_the_template_and_never_unknown(root: str, lang: str) -> None:
    html = _html(_mjml(_column("<mj-text>x</mj-text>")).replace("<mjml>", root))
    assert html.count(f' lang="{lang}"') == 2
    assert "und" not in re.findall(r'lang="([^"]*)"', html)


@pytest.mark.parametrize(
    ("body", "line", "reason"),
    [
        ("\n{% for x in y %}\n", 2, "endfor"),
        ("\n\n{{ a\n b c }}", 4, "'b' cannot stand here"),
        (_column("<mj-text>\n{{ a|nothing }}</mj-text>"), 2, "no filter named 'nothing'"),
        ("\n{% include 'x' %}", 2, "there is no partial or layout named 'x'"),
        ("\n{% extends 'base.html' %}", 2, "no partial or layout named 'base.html'"),
    ],
)
def test_what_was_never_checked_is_refused_with_its_line_too(body: str, line: int, reason: str) -> None:
    source = Source("mjml", _mjml(body))
    for ask in (lambda: check(source), lambda: render(RenderJob("unchecked", source, {}))):
        with pytest.raises(Problem, match=rf"^Line {line}: .*{reason}"):
            ask()


def test_bounds_hold_for_what_was_never_checked() -> None:
    for source in (_mjml("{{ 1 }}" * 5_001), _mjml("x" * (256 * 1024))):
        with pytest.raises(Problem, match=r"more than 5,000 Jinja tags|larger than 256 KiB"):
            render(RenderJob("bounds", Source("mjml", source), {}))


def test_only_declared_fonts_are_fetched() -> None:
    body = _column(
        "<mj-text>Ubuntu</mj-text><mj-text font-family='Own'>x</mj-text><mj-text font-family='Roboto'>y</mj-text>"
    )
    html = _html(_mjml(body, "<mj-font name='Own' href='https://fonts.example/own' />"))
    assert set(re.findall(r"https://[^/]*fonts[^\s\"')]*", html)) == {"https://fonts.example/own"}
