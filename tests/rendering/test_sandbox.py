"""Templates that strangers write reach nothing but their data, and cannot exhaust the process."""

import time

import pytest

from backend.lib.problems import Problem
from backend.rendering.engine import check, render
from backend.rendering.model import RenderJob, Source
from tests.rendering.hostile import CONTAINED, DATA, REFUSED


def _render(source: str, template_format: str = "html") -> str:
    rendered = render(RenderJob("hostile", Source(template_format, source), DATA))  # type: ignore[arg-type]
    return rendered.html or rendered.text


@pytest.mark.parametrize("name", REFUSED)
def test_refused_when_it_is_registered(name: str) -> None:
    began = time.thread_time()
    with pytest.raises(Problem) as caught:
        check(Source("html", REFUSED[name]), DATA)
    assert caught.value.code == "invalid_template"
    assert time.thread_time() - began < 5


@pytest.mark.parametrize("name", CONTAINED)
def test_contained_when_it_is_rendered(name: str) -> None:
    began = time.thread_time()
    with pytest.raises(Problem) as caught:
        _render(CONTAINED[name])
    assert caught.value.code == "template_arguments"
    assert "0x" not in caught.value.detail
    assert "Traceback" not in caught.value.detail
    assert time.thread_time() - began < 8


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
