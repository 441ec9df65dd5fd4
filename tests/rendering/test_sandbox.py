"""Templates that strangers write reach nothing but their data, and cannot exhaust the process that renders them."""

import time
from collections.abc import Iterator

import pytest

from backend.lib.fair_pool import Share
from backend.lib.problems import Problem
from backend.rendering.engine import check, render
from backend.rendering.model import Format, Partial, RenderJob, Source
from backend.rendering.pool import Bounds, Pool
from tests.rendering.hostile import CONTAINED, DATA, REFUSED

_MACROS = (
    "{% macro m(a, b='-') %}{{ a }}{{ b }}{{ varargs|join }}{{ kwargs.c }}{{ caller() }}{% endmacro %}"
    "{% call m(1, 2, 3, c=4) %}!{% endcall %}{% macro n(x) %}<{{ x }}>{% endmacro %}{{ n() }}"
)
_CYCLES = (
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.current }}"
    "{% set j = joiner('; ') %}{% for i in items %}{{ j() }}{{ i }}{% endfor %}{{ dict(a=1).a }}"
)
_BREAKS = (
    "{% for i in items %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}{% if i == 3 %}{% break %}{% endif %}"
    "{% endfor %}{% do items.index(1) %}"
)

SHARE = Share(1)
_BOUNDS = Bounds(children=1, running=0.3, seconds=4.0, patience=30.0, waiting=20, capacity=20)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    made = Pool("backend.rendering.child", _BOUNDS)
    yield made
    made.close()


def _render(source: str, template_format: Format = "html") -> str:
    rendered = render(RenderJob("", Source(template_format, source), DATA))
    return rendered.bare_html or rendered.text


@pytest.mark.parametrize("name", REFUSED)
def test_refused_when_it_is_registered(name: str) -> None:
    began = time.thread_time()
    with pytest.raises(Problem) as caught:
        check(Source("html", REFUSED[name]))
    assert caught.value.code == "invalid_template"
    assert time.thread_time() - began < 5


def test_there_are_many_ways_that_were_tried() -> None:
    assert len(REFUSED | CONTAINED) > 100


@pytest.mark.parametrize("name", CONTAINED)
def test_contained_when_it_is_rendered(pool: Pool, name: str) -> None:
    with pytest.raises(Problem) as caught:
        pool.render(RenderJob("", Source("html", CONTAINED[name]), DATA), SHARE)
    assert caught.value.code == "template_arguments"
    for inside in ("0x", "Traceback", "Errno", "object at", "NoneType"):
        assert inside not in caught.value.detail


@pytest.mark.parametrize("template_format", ["mjml", "html", "text", "markdown"])
def test_every_format_has_the_sandbox(template_format: Format) -> None:
    source = "{{ name['__class__'] }}"
    if template_format == "mjml":
        text = f"<mj-text>{source}</mj-text>"
        source = f"<mjml><mj-body><mj-section><mj-column>{text}</mj-column></mj-section></mj-body></mjml>"
    with pytest.raises(Problem) as caught:
        _render(source, template_format)
    assert "Line 1: the name '__class__' is not available" in caught.value.detail


def test_subjects_have_the_sandbox() -> None:
    with pytest.raises(Problem) as caught:
        render(RenderJob("s", Source("text", "", "{{ 9 ** 999999 }}"), {}))
    assert [error.pointer for error in caught.value.errors] == ["/subject"]


def test_nothing_is_evaluated_while_a_template_is_compiled(pool: Pool) -> None:
    """Compiling goes on in the process that accepts, which no constant of a template may keep busy."""
    costly = "{% if name == 'never' %}{{ ('a' * 10**7)|center(10**8)|length }}{{ lipsum(10**6)|length }}{% endif %}"
    assert check(Source("html", costly), DATA) == []
    assert pool.render(RenderJob("", Source("html", costly), DATA), SHARE).html == ""


def test_the_data_is_untouched_and_must_be_plain() -> None:
    with pytest.raises(Problem, match="which JSON has not"):
        render(RenderJob("plain", Source("text", "{{ x }}"), {"x": object()}))
    deep: object = "x"
    for _ in range(1000):
        deep = [deep]
    with pytest.raises(Problem, match="levels deep"):
        render(RenderJob("plain", Source("text", "{{ x }}"), {"x": deep}))


def test_markup_does_not_come_in_with_the_data() -> None:
    class Claim(str):
        __slots__ = ()

        def __html__(self) -> str:
            return "<script>"

    with pytest.raises(Problem, match="which JSON has not"):
        render(RenderJob("plain", Source("html", "{{ x }}"), {"x": Claim("y")}))


def test_a_slow_template_meets_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(10_000))
    monkeypatch.setattr("backend.rendering.limits.time.thread_time", lambda: float(next(ticks)))
    with pytest.raises(Problem, match="takes too long"):
        _render("{% for x in items %}{{ x }}{% endfor %}" * 40)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ items|sum }} {{ items|map('string')|join('-') }}", "6 1-2-3"),
        ("{{ [[1], [2, 3]]|sum(start=[])|length }}", "3"),
        ("{% for key, value in nested.items() %}{{ key }}{{ value.b }}{% endfor %}", "ac"),
        ("{% for key in nested %}{{ key }}{% endfor %}", "a"),
        ("{{ name.upper() }} {{ name|lower }} {{ name[:2] }}", "ADA ada Ad"),
        (
            "{% for i in items %}{{ loop.index }}/{{ loop.length }}{{ loop.cycle('a', 'b') }} {% endfor %}",
            "1/3a 2/3b 3/3a ",
        ),
        ("{% for i in range(3) %}{{ i }}{% else %}none{% endfor %}", "012"),
        (
            "{% for g in [{'k': 1}, {'k': 2}, {'k': 1}]|groupby('k') %}{{ g.grouper }}:{{ g.list|length }} {% endfor %}",  # noqa: E501
            "1:2 2:1 ",
        ),
        ("{% set x %}{{ name }}!{% endset %}{{ x }}", "Ada!"),
        ("{{ 'b' in nested.a }} {{ nested.get('zzz', 'no') }} {{ missing|default('d') }}", "True no d"),
        ("{{ 7 % 3 }} {{ 2 ** 10 }} {{ 1.256|round(2) }} {{ [1, 2, 3, 4]|batch(2)|list|length }}", "1 1024 1.26 2"),
        (
            "{% set ns = namespace(n=0) %}{% for i in items %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}",
            "6",
        ),
        (
            _MACROS,
            "1234!<>",
        ),
        (
            "{% for n in [{'v': 1, 'in': [{'v': 2}]}] recursive %}{{ n.v }}{{ loop(n['in']) }}{% endfor %}",
            "12",
        ),
        (
            _CYCLES,
            "aba1; 2; 31",
        ),
        (
            _BREAKS,
            "13",
        ),
        ("{{ 'upper' is filter }} {{ 'x' is filter }} {{ 'odd' is test }}", "True False True"),
        ("{{ range is callable }}", "True"),
        ("{% filter upper %}{{ name }}{% endfilter %}{% with x = 1 %}{{ x }}{% endwith %}", "ADA1"),
        ("{{ '%.2f'|format(3.14159) }} {{ '%05d' % 42 }} {{ '{:,}'.format(1234567) }} {{ 1500000|filesizeformat }}",
         "3.14 00042 1,234,567 1.5 MB"),
        ("{{ 'a\nb'|indent(2) }}|{{ 'x'|center(5) }}|{{ [1, [2]]|pprint }}", "a\n  b|  x  |[1, [2]]"),
        ("{{ 'abc'|wordwrap(2) }}", "ab\nc"),
        ("{{ []|min }}{{ []|max }}|{{ [3, 1]|min }}{{ items|max }}", "|13"),
        ("{{ [{'n': 1}, {}]|join(',', attribute='n') }} {{ [{'n': 1}]|map(attribute='m', default='?')|join }}", "1, ?"),
    ],
)  # fmt: skip
def test_all_of_the_language_works(source: str, text: str) -> None:
    assert _render(source, "text") == text


def test_marking_filters_write_html() -> None:
    assert _render("<a{{ {'href': name, 'title': none}|xmlattr }}>") == '<a href="Ada">'
    assert _render("{{ 'see https://lab.example/x <b>'|urlize }}") == (
        'see <a href="https://lab.example/x" rel="noopener">https://lab.example/x</a> &lt;b&gt;'
    )
    assert _render("{{ '<b>'|safe }}{% autoescape false %}{{ '<i>' }}{% endautoescape %}{{ '<u>' }}") == (
        "<b><i>&lt;u&gt;"
    )


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("{% set x = 1 %}\n{{ nested.aa }}", "Line 2: the field 'aa' is missing."),
        ("{{ nested.aaaa.b.c|upper }}", "Line 1: the field 'aaaa' is missing."),
        ("{{ naem }}", "Line 1: the field 'naem' is missing; did you mean 'name'?"),
        ("{{ fields.naem }}", "Line 1: the field 'naem' is missing; did you mean 'name'?"),
        ("{{ [missing] }}", "Line 1: the field 'missing' is missing."),
        ("{{ missing|length }}", "Line 1: the field 'missing' is missing."),
        ("{{ missing|join }}", "Line 1: the field 'missing' is missing."),
        ("{% for x in missing %}{% endfor %}", "Line 1: the field 'missing' is missing."),
        ("{{ 'a' ~ missing }}", "Line 1: the field 'missing' is missing."),
        ("{{ missing + 1 }}", "Line 1: the field 'missing' is missing."),
        ("{{ missing or nested.x }}", "Line 1: the field 'x' is missing."),
        ("{{ missing() }}", "Line 1: the field 'missing' is missing."),
    ],
)
def test_a_missing_member_is_a_fault_where_it_is_printed(source: str, sentence: str) -> None:
    with pytest.raises(Problem) as caught:
        _render(source, "text")
    assert caught.value.detail == sentence


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{% if missing %}a{% elif nested.x %}b{% else %}c{% endif %}", "c"),
        ("{% if missing.deep.er and name or not missing %}yes{% endif %}", "yes"),
        ("{{ 'a' if missing else 'b' }}{{ 'a' if missing }}", "b"),
        ("{{ missing.deep|default('d') }}{{ missing.deep is defined }}{{ (missing or name) }}", "dFalseAda"),
        ("{% if missing == 'x' or 'x' in missing or missing|length > 3 %}a{% else %}b{% endif %}", "b"),
        ("{% for x in missing %}a{% else %}none{% endfor %}", "none"),
        ("{{ missing is none }}{{ missing is undefined }}", "FalseTrue"),
        ("{{ [{'a': 1}, {}]|selectattr('a')|list|length }}{{ [{'a': 1}, {}]|rejectattr('a')|list|length }}", "11"),
    ],
)
def test_a_missing_member_is_false_where_it_is_asked_for(source: str, text: str) -> None:
    assert _render(source, "text") == text


def test_a_method_is_meant_where_brackets_follow_and_a_member_elsewhere() -> None:
    fields = {"group": {"items": [1, 2], "get": "it"}}
    source = (
        "{{ group.items|sum }} {% for k, v in group.items() %}{{ k }} {% endfor %}"
        "{{ group.get }} {{ group.get('x', 0) }}"
    )
    assert render(RenderJob("", Source("text", source), fields)).text == "3 items get it 0"


def test_chance_is_the_same_for_the_same_notification() -> None:
    source = Source("html", "{{ range(1000)|random }} {{ range(1000)|random }}", "{{ range(1000)|random }}")
    one, again = (render(RenderJob("", source, {"name": "Ada"})) for _ in range(2))
    assert one == again
    assert one.text == one.html
    assert render(RenderJob("", source, {"name": "Bo"})) != one
    assert len({render(RenderJob("", source, {"n": n})).subject for n in range(20)}) > 10


def test_what_a_partial_counts_is_forgotten_after_the_message() -> None:

    counter = "{% set ns = namespace(n=0) %}{% macro next() %}{% set ns.n = ns.n + 1 %}{{ ns.n }}{% endmacro %}"
    source = Source(
        "html", "{% import 'X_COUNT' as c %}{{ c.next() }}{{ c.next() }}", None, (Partial("X_COUNT", "html", counter),)
    )
    assert [render(RenderJob("", source, {})).html for _ in range(2)] == ["12", "12"]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "{{ 1234567.891|number }} {{ 1234567.891|number(2) }} {{ 1234567|number(0) }}",
            "1,234,567.891 1,234,567.89 1,234,567",
        ),
        ("{{ 1234567.891|number(2, 'de') }} {{ '1234.5'|number(locale='fr') }}", "1.234.567,89 1\u202f234,5"),
        ("{{ 1234567.5|number(1, 'en-IN') }} {{ 5|number(2) }}", "12,34,567.5 5.00"),
        ("{{ '2026-03-02T14:05:00Z'|date('%d %B %Y, %H:%M') }}", "02 March 2026, 14:05"),
        ("{{ '2026-03-02'|date }} {{ '2026-03-02'|date('long', 'de') }}", "02 March 2026 2. März 2026"),
        (
            "{{ '2026-03-02'|date('EEEE d MMMM', 'fr') }} {{ '2026-03-02'|date('%a %d %B', 'es') }}",
            "lundi 2 mars lun 02 marzo",
        ),
    ],
)
def test_numbers_and_dates_are_written_as_people_read_them(pool: Pool, source: str, text: str) -> None:
    assert _render(source, "text") == text
    # A child reads no file for it.
    assert pool.render(RenderJob("", Source("text", source), DATA), SHARE).text == text


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("{{ name|number }}", "number takes a number, or a text that is one, and this is a text that is none"),
        ("{{ 1|number(99) }}", "number takes between 0 and 20 decimals"),
        ("{{ 1|number(2, 'klingon') }}", "there is no language 'klingon'; write it as in 'en', 'en_GB' or 'de_CH'"),
        ("{{ name|uper }}", "there is no filter named 'uper'; did you mean 'upper'?"),
        ("{{ name is defind }}", "there is no test named 'defind'; did you mean 'defined'?"),
    ],
)
def test_faults_of_filters_say_what_to_write(source: str, sentence: str) -> None:
    with pytest.raises(Problem) as caught:
        _render(source, "text")
    assert caught.value.detail == f"Line 1: {sentence}" + ("" if sentence.endswith("?") else ".")
