"""Which templates are tried in the process that accepts, and that the others are tried all the same."""

from collections.abc import Sequence

import pytest

from backend.lib.problems import Problem
from backend.rendering import acceptance
from backend.rendering.compiler import compiled
from backend.rendering.model import Rendered, RenderJob, Source
from tests.rendering.hostile import HEAVY

_PLAIN = "{% for item in items if item.name %}<p>{{ item.name|upper }}{{ ', '|default('-') }}</p>{% endfor %}"


@pytest.mark.parametrize(
    ("source", "harmless"),
    [
        (_PLAIN, True),
        (
            "{{ fields.items()|length }}{% set a = name %}{{ a }}{% for x in items[:5] %}{{ x|number(2) }}{% endfor %}",
            True,
        ),
        ("{% set a = name ~ '!' %}{{ a }}", False),
        ("{{ items|join(', ') }}", True),
        ("{{ items|join(name) }}", False),
        ("{{ name|round(items|length) }}", False),
        ("{% set ns = namespace(a=1) %}", False),
        ("{% macro m() %}{% endmacro %}", False),
        ("{{ items|sort|length }}", False),
        ("{{ name * 3 }}", False),
        ("{{ range(3)|length }}", False),
        *[(source, False) for source in HEAVY.values()],
    ],
)
def test_only_what_no_fields_make_costly_is_harmless(source: str, harmless: bool) -> None:
    assert compiled("", Source("html", source)).harmless is harmless
    assert compiled("", Source("text", "x", source)).harmless is harmless


@pytest.mark.parametrize("source", ["{{ name }}{{ missing }}", "{{ [name]|sort|first }}{{ missing }}"])
def test_both_ways_give_the_message_or_its_fault(source: str) -> None:
    good = RenderJob("", Source("text", source), {"name": "Ada", "missing": "!"}, want_html=False, want_text=False)
    assert acceptance.render(good).html is None
    with pytest.raises(Problem, match="the field 'missing' is missing"):
        acceptance.render(RenderJob("", Source("text", source), {"name": "Ada"}))


def test_what_takes_longer_than_here_is_allowed_is_rendered_in_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.rendering.acceptance._SECONDS", 0.0)
    assert acceptance.render(RenderJob("", Source("text", "{{ name }}"), {"name": "Ada"})).text == "Ada"


class Outside:
    """Stands for the child process, and counts what comes to it."""

    def __init__(self) -> None:
        self.jobs: list[RenderJob] = []

    def render_many(self, jobs: Sequence[RenderJob]) -> list[Rendered | Problem]:
        self.jobs += jobs
        return [Rendered(None, None, "outside")] * len(jobs)


@pytest.mark.parametrize(
    ("source", "here"), [("{{ name }}", 3), ("{{ name * 3 }}", 0), (next(iter(HEAVY.values())), 0)]
)
def test_many_are_rendered_here_only_if_they_are_harmless(
    monkeypatch: pytest.MonkeyPatch, source: str, here: int
) -> None:
    outside = Outside()
    monkeypatch.setattr(acceptance, "TRIALS", outside)
    jobs = [RenderJob("", Source("text", source), {"name": str(number)}) for number in range(3)]
    rendered = acceptance.render_many(jobs)
    texts = [one.text for one in rendered if isinstance(one, Rendered)]
    assert texts == ["0", "1", "2"][:here] + ["outside"] * (3 - here)
    assert len(outside.jobs) == 3 - here


@pytest.mark.parametrize(("limit", "here"), [("_SECONDS", 0), ("_SECONDS_OF_MANY", 0)])
def test_many_that_take_longer_than_here_is_allowed_go_outside(
    monkeypatch: pytest.MonkeyPatch, limit: str, here: int
) -> None:
    outside = Outside()
    monkeypatch.setattr(acceptance, "TRIALS", outside)
    monkeypatch.setattr(acceptance, limit, 0.0)
    jobs = [RenderJob("", Source("text", "{{ missing }}"), {}) for _ in range(3)]
    acceptance.render_many(jobs)
    assert len(outside.jobs) == 3 - here


def test_a_fault_among_many_is_that_of_one_alone() -> None:
    jobs = [RenderJob("", Source("text", "{{ name }}"), fields) for fields in ({"name": "a"}, {}, {"name": "c"})]
    first, second, third = acceptance.render_many(jobs)
    assert isinstance(second, Problem)
    assert (first, third) == (Rendered(None, None, "a"), Rendered(None, None, "c"))
