"""Templates that strangers write reach nothing but their data, and cannot exhaust the process."""

import time

import pytest

from backend.lib.problems import Problem
from backend.rendering.engine import check, render
from backend.rendering.model import RenderJob, Source

DATA = {"name": "Ada", "items": [1, 2, 3], "nested": {"a": {"b": "c"}}}
_DOUBLE = "".join(f"{{% set a{n + 1} = a{n} ~ a{n} %}}" for n in range(40))
_NEST = "".join(f"{{% set a{n + 1} = [a{n}, a{n}] %}}" for n in range(60))

REFUSED = {
    "include": "{% include 'x' %}",
    "import": "{% import 'x' as y %}",
    "from import": "{% from 'x' import y %}",
    "macro": "{% macro m() %}{% endmacro %}",
    "call block": "{% call x() %}{% endcall %}",
    "escaping off": "{% autoescape false %}{{ name }}{% endautoescape %}",
    "extends by variable": "{% extends name %}",
    "extends upwards": "{% extends '../accessioning_failure_plain/template.html' %}",
    "extends absolutely": "{% extends '/etc/passwd' %}",
    "extends a list": "{% extends ['base.html'] %}",
    "extends encoded": "{% extends '..%2f..%2fpyproject.toml' %}",
    "filter attr": "{{ ''|attr('__class__') }}",
    "filter attr by map": "{% for x in [1]|map('attr', '__class__') %}{{ x }}{% endfor %}{{ ''|attr('x') }}",
    "filter safe": "{{ name|safe }}",
    "filter format": "{{ '%0999999999d'|format(1) }}",
    "filter center": "{{ 'a'|center(999999999) }}",
    "filter indent": "{{ 'a'|indent(999999999) }}",
    "filter xmlattr": "{{ {'a b': 1}|xmlattr }}",
    "filter pprint": "{{ fields|pprint }}",
    "filter random": "{{ items|random }}",
    "dunder": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "recursive loop": "{% for x in range(9) recursive %}{{ loop(range(99999)) }}{% endfor %}",
    "unknown test": "{{ name is callable }}",
    "deep brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "many tags": "{{ 1 }}" * 20_000,
    "large source": "x" * (256 * 1024 + 1),
    "nested loops": "{% for i in range(2) %}" * 30 + "x" + "{% endfor %}" * 30,
}

CONTAINED = {
    "string times": "{{ 'a' * 10**9 }}",
    "times string": "{{ 1000000000 * 'a' }}",
    "list times": "{{ ([0] * 10**9)|length }}",
    "list of lists times": "{% set a = [0] * 1000 %}{% set b = [a] * 1000 %}{% set c = [b] * 1000 %}{{ c }}",
    "power": "{{ 9 ** 999999999 }}",
    "power and times": "{% set a = 2 ** 4000 %}{{ a * a * a }}",
    "percent format": "{{ '%0999999999d' % 1 }}",
    "range": "{{ range(10**9)|length }}",
    "loops in loops": "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "loops that write": "{% for a in range(99999) %}{% for b in range(99999) %}xxxxxxxxxx{% endfor %}{% endfor %}",
    "loops in a block set": "{% set x %}{% for a in range(99999) %}" + "y" * 9999 + "{% endfor %}{% endset %}{{ x }}",
    "block repeated": "{% block b %}{% for a in range(99999) %}"
    + "y" * 9999
    + "{% endfor %}{% endblock %}{{ self.b() }}",
    "block that calls itself": "{% block b %}{{ self.b() }}{% endblock %}",
    "doubled string": "{% set a0 = 'aaaaaaaaaa' %}" + _DOUBLE + "{{ a40|length }}",
    "doubled by plus": "{% set a0 = 'aaaaaaaaaa' %}" + _DOUBLE.replace("~", "+") + "{{ a40|length }}",
    "nested lists": "{% set a0 = [1] %}" + _NEST + "{{ a60 }}",
    "nested lists compared": "{% set a0 = [1] %}" + _NEST + "{% set b = a60 %}" + _NEST + "{{ b == a60 }}",
    "nested mappings": "{% set a0 = {} %}"
    + _NEST.replace("[", "{'x': ").replace(", a", ", 'y': a").replace("]", "}")
    + "{{ a60 }}",
    "lists doubled by plus": "{% set a0 = [1] %}" + _DOUBLE.replace("~", "+") + "{{ a40|length }}",
    "replace": "{{ ('a' * 100000)|replace('a', 'b' * 100000) }}",
    "join": "{{ range(100000)|join('x' * 100000) }}",
    "batch": "{{ [1]|batch(10**9, 'x')|list }}",
    "slice": "{{ [1]|slice(10**9)|list }}",
    "round": "{{ 1.5|round(10**9, 'ceil') }}",
    "striptags": "{{ ('<>' * 400000)|striptags }}",
    "wordwrap": "{{ ('a ' * 400000)|wordwrap(1) }}",
    "date directives": "{{ '2026-01-01'|date('%0999999999d') }}",
    "date length": "{{ '2026-01-01'|date('%A' * 100000) }}",
    "str.format": "{{ '{0.__class__}'.format(1) }}",
    "str.format width": "{{ '{:>999999999}'.format(1) }}",
    "str.format_map": "{{ '{a}'.format_map(nested) }}",
    "str.join": "{{ 'x'.join(['a', 'b']) }}",
    "str.zfill": "{{ 'x'.zfill(10**9) }}",
    "item dunder": "{{ name['__class__'] }}",
    "map by attribute": "{{ [name]|map(attribute='__class__')|join }}",
    "list mutation": "{{ items.append(4) }}",
    "mapping mutation": "{{ nested.update({'x': 1}) }}",
    "mapping pop": "{{ nested.pop('a') }}",
    "lipsum": "{{ lipsum() }}",
    "cycler": "{{ cycler }}",
    "namespace": "{% set n = namespace(a=1) %}{{ n }}",
    "dict": "{{ dict(a=1) }}",
    "data called": "{{ name() }}",
    "generator printed": "{{ items|map('string') }}",
    "method printed": "{{ name.upper }}",
    "method looked into": "{{ name.upper.__self__ }}",
    "range printed": "{{ range.__init__ }}",
    "loop internals": "{% for x in items %}{{ loop._iterable }}{% endfor %}",
    "context": "{{ self._TemplateReference__context }}",
    "map of a forbidden filter": "{{ ['a']|map('safe')|list }}",
    "map of an inner filter": "{{ ['a']|map('pprint')|list }}",
    "zero": "{{ 1 / 0 }}",
}


def _render(source: str, template_format: str = "html") -> str:
    rendered = render(RenderJob("hostile", Source(template_format, source), DATA))  # type: ignore[arg-type]
    return rendered.html or rendered.text


@pytest.mark.parametrize("name", REFUSED)
def test_refused_when_it_is_registered(name: str) -> None:
    began = time.monotonic()
    with pytest.raises(Problem) as caught:
        check(Source("html", REFUSED[name]), DATA)
    assert caught.value.code == "invalid_template"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("name", CONTAINED)
def test_contained_when_it_is_rendered(name: str) -> None:
    began = time.monotonic()
    with pytest.raises(Problem) as caught:
        _render(CONTAINED[name])
    assert caught.value.code == "template_arguments"
    assert "0x" not in caught.value.detail
    assert "Traceback" not in caught.value.detail
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("template_format", ["mjml", "html", "text", "markdown"])
def test_every_format_has_the_sandbox(template_format: str) -> None:
    source = "{{ 'a' * 10**9 }}"
    if template_format == "mjml":
        text = f"<mj-text>{source}</mj-text>"
        source = f"<mjml><mj-body><mj-section><mj-column>{text}</mj-column></mj-section></mj-body></mjml>"
    with pytest.raises(Problem) as caught:
        _render(source, template_format)
    assert "Line 1" in caught.value.detail


def test_subjects_have_the_sandbox() -> None:
    with pytest.raises(Problem) as caught:
        render(RenderJob("s", Source("text", "", "{{ 'a' * 10**9 }}"), {}))
    assert [error.pointer for error in caught.value.errors] == ["/subject"]


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
        _render("{{ items|length }}" * 20)


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
            (
                "{% for g in [{'k': 1}, {'k': 2}, {'k': 1}]|groupby('k') %}"
                "{{ g.grouper }}:{{ g.list|length }} {% endfor %}"
            ),
            "1:2 2:1 ",
        ),
        ("{% set x %}{{ name }}!{% endset %}{{ x }}", "Ada!"),
        ("{{ 'b' in nested.a }} {{ nested.get('zzz', 'no') }} {{ missing|default('d') }}", "True no d"),
        ("{{ '2026-03-02T14:05:00Z'|date('%d %B %Y, %H:%M') }}", "02 March 2026, 14:05"),
        ("{{ 7 % 3 }} {{ 2 ** 10 }} {{ 1.256|round(2) }} {{ [1, 2, 3, 4]|batch(2)|list|length }}", "1 1024 1.26 2"),
    ],
)
def test_ordinary_templates_work(source: str, text: str) -> None:
    assert _render(source, "text") == text
