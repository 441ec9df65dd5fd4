"""Values in CommonMark are read as they were sent, wherever they stand, in HTML and in the text part."""

import random
from urllib.parse import unquote

import lxml.html
import pytest

from backend.lib.problems import Problem
from backend.rendering import limits
from backend.rendering.engine import render
from backend.rendering.model import Format, Rendered, RenderJob, Source

# Where a value can stand, and the element whose text it is then.
POSITIONS = {
    "text": ("Before\n\n{{ v }}\n\nafter", "p[2]"),
    "emphasis": ("a **{{ v }}** b", "strong"),
    "heading": ("## {{ v }}", "h2"),
    "item": ("* one\n* {{ v }}\n* three", "li[2]"),
    "numbered": ("1. {{ v }}\n2. two", "li[1]"),
    "quote": ("> {{ v }}", "blockquote/p"),
    "cell": ("| a | b |\n|---|---|\n{% for x in [1] %}\n| {{ v }} | {{ x }} |\n{% endfor %}", "td[1]"),
    "code": ("a `{{ v }}` b", "code"),
    "fence": ("```\n{{ v }}\n```", "pre/code"),
    "indented": ("text\n\n    {{ v }}\n", "pre/code"),
    "link": ("[{{ v }}](https://x.example/)", "a"),
    "start": ("{{ v }} and more", "p"),
}
PIECES = [
    *"`*_~|#>-+=.!<>()[]{}\\&\"' \n",
    *("1. ", "```", "~~~", "    ", "---", "|", "||", "\\|", "<b>", "</p>", "&amp;", "&#35;", "http://x.example", "é"),
    *(
        "\u200c",
        "\u200d",
        "👩\u200d🔬",
        "\u0645\u06cc\u200c\u062e\u0648",
        "[a](b)",
        "![a](b)",
        "<x@y.example>",
        "a_b",
        "{{ x }}",
        "{% if %}",
    ),
    *("\n\n# x", "\n- ", "\n    code", "q0x0z", "<!-- c -->", "]]>"),
]


def _render(source: str, value: str, form: Format = "markdown") -> Rendered:
    return render(RenderJob("values", Source(form, source), {"v": value}))


def _text(element: lxml.html.HtmlElement) -> str:
    for line in element.iter("br"):
        line.tail = "\n" + (line.tail or "").removeprefix("\n")
    return str(element.text_content())


def _values(count: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    return ["w" + "".join(chance.choices(PIECES, k=chance.randint(1, 9))) + "w" for _ in range(count)]


@pytest.mark.parametrize("location", POSITIONS)
def test_what_was_sent_is_what_is_read(location: str) -> None:
    source, path = POSITIONS[location]
    for value in _values(150, 7):
        rendered = _render(source, value)
        page = lxml.html.document_fromstring(rendered.bare_html or "")
        found = page.findall(f".//{path}")
        assert len(found) >= 1, value
        read = _text(found[0])
        assert (read.removesuffix("\n") if path.startswith("pre") else read.removesuffix(" and more")) == value
        assert " ".join(value.split()) in " ".join(rendered.text.split()), value


@pytest.mark.parametrize("value", [*_values(60, 8), "# h", "- a", "1. a", "    a", "> q", "|---|", "~~~"])
def test_a_value_begins_no_block(value: str) -> None:
    html = _render("{{ v }}", value).bare_html or ""
    assert html.count("<p>") == 1
    assert html.replace("<br />\n", "").count("<") == 2


@pytest.mark.parametrize(
    ("source", "value", "href"),
    [
        ("[x]({{ v }})", "https://x.example/a b?c=(1)&d=<2>", "https://x.example/a b?c=(1)&d=<2>"),
        ("[x](https://x.example/{{ v }}/y)", "a)b *c*", "https://x.example/a)b *c*/y"),
        ("[x][r]\n\n[r]: {{ v }}", "https://x.example/_a_", "https://x.example/_a_"),
        ("<{{ v }}>", "https://x.example/?a=*b*", "https://x.example/?a=*b*"),
        ("<https://x.example/{{ v }}>", "a_b_c", "https://x.example/a_b_c"),
        ("<{{ v }}>", "a.b@x.example", "mailto:a.b@x.example"),
    ],
)
def test_addresses_lead_where_they_say(source: str, value: str, href: str) -> None:
    page = lxml.html.document_fromstring(_render(source, value).bare_html or "")
    assert [unquote(link.get("href") or "") for link in page.iter("a")] == [href]


@pytest.mark.parametrize("source", ["[x]({{ v }})", "<{{ v }}>", "[x][r]\n\n[r]: {{ v }}", "![x]({{ v }})"])
@pytest.mark.parametrize("value", ["javascript:alert(1)", " JavaScript:alert(1)", "vbscript:x", "data:text/html,x"])
def test_addresses_that_would_do_something_are_no_links(source: str, value: str) -> None:
    page = lxml.html.document_fromstring(_render(source, value).bare_html or "")
    assert [one for one in page.iter("a", "img") if one.get("href") or one.get("src")] == []


def test_what_is_no_address_is_shown_in_its_angles() -> None:
    rendered = _render("List<{{ v }}> and `Map<{{ v }}>`", "a b")
    assert rendered.bare_html == "<p>List&lt;a b&gt; and <code>Map&lt;a b&gt;</code></p>\n"


def test_an_empty_value_leaves_nothing() -> None:
    assert _render("a\n\n{{ v }}\n\nb", "").bare_html == "<p>a</p>\n<p>b</p>\n"


@pytest.mark.parametrize(
    "source",
    [
        "{% filter upper %}{{ v }}{% endfilter %}",
        "{% set x %}{{ v }}{% endset %}{{ x|upper }}",
        "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(v)|upper }}",
        "{% macro m() %}{{ caller()|upper }}{% endmacro %}{% call m() %}{{ v }}{% endcall %}",
        "{% for x in [[v]] recursive %}{{ loop(x)|upper if x is not string else x }}{% endfor %}",
    ],
)
def test_filters_of_what_was_printed_see_the_values(source: str) -> None:
    assert (_render(source, "*a*").bare_html or "").strip() == "<p>*A*</p>"


def test_values_count_towards_the_length_of_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(_render("{{ v }}" * 3, "x" * 1000).text) == 3000
    monkeypatch.setattr("backend.rendering.markdown.OUTPUT_CHARACTERS", 2999)
    with pytest.raises(Problem, match="longer than"):
        _render("{{ v }}" * 3, "x" * 1000)
    assert limits.OUTPUT_CHARACTERS == 10_000_000


@pytest.mark.parametrize("form", ["mjml", "html", "text", "markdown"])
def test_joiners_survive(form: Format) -> None:
    value = "\u0645\u06cc\u200c\u062e\u0648 👩\u200d🔬"
    body = "{{ v }}"
    if form == "mjml":
        body = (
            f"<mjml><mj-body><mj-section><mj-column><mj-text>{body}</mj-text></mj-column></mj-section></mj-body></mjml>"
        )
    rendered = render(RenderJob("joiners", Source(form, body, "{{ v }}"), {"v": value}))
    assert rendered.text.strip() == value
    assert rendered.subject == value
    assert form == "text" or value in (rendered.bare_html or "")
