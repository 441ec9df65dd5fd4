"""Which templates are tried in the process that accepts, and that the others are tried all the same."""

import time
from collections.abc import Sequence

import pytest

from backend.lib.fair_pool import Share
from backend.lib.problems import Problem
from backend.rendering import acceptance
from backend.rendering.acceptance import Allowance
from backend.rendering.compiler import compiled
from backend.rendering.model import Rendered, RenderJob, Source
from backend.rendering.pool import Bounds, Pool
from tests.rendering.hostile import HEAVY

SHARE = Share(1)
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
    assert acceptance.render(good, SHARE) == Rendered(None, None, "")
    bad = acceptance.render(RenderJob("", Source("text", source), {"name": "Ada"}), SHARE)
    assert isinstance(bad, Problem)
    assert "the field 'missing' is missing" in bad.detail


def test_only_what_is_compiled_and_quick_is_tried_where_others_wait() -> None:
    source = Source("text", "{% for a in [1] %}{{ name }}{% endfor %}")
    job = RenderJob("at once", source, {"name": "Ada"}, want_html=False, want_text=False)
    assert Allowance().try_at_once(job) is None
    assert acceptance.begin(job, SHARE).result(9) == Rendered(None, None, "")
    assert Allowance().try_at_once(job) == Rendered(None, None, "")
    wild = RenderJob("wild", Source("text", "{{ [name]|sort|first }}"), {"name": "Ada"})
    compiled(wild.key, wild.source)
    assert Allowance().try_at_once(wild) is None


def test_a_loop_that_takes_its_time_leaves_the_others_alone() -> None:
    source = Source("text", "{% for a in items %}{% for b in items %}{{ b }}{% endfor %}{% endfor %}")
    slow = RenderJob("loop", source, {"items": list(range(300))}, want_html=False, want_text=False)
    quick = RenderJob("loop", source, {"items": [1]}, want_html=False, want_text=False)
    compiled(slow.key, slow.source)
    allowance = Allowance()
    used = time.thread_time()
    assert [allowance.try_at_once(slow) for _ in range(200)] == [None] * 200
    assert time.thread_time() - used < 0.5
    assert allowance.try_at_once(quick) is None  # all that this group may take is used up
    assert Allowance().try_at_once(quick) == Rendered(None, None, "")


def test_what_takes_longer_than_here_is_allowed_is_rendered_in_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.rendering.acceptance._QUICK_SECONDS", 0.0)
    answer = acceptance.render(RenderJob("", Source("text", "{{ name }}"), {"name": "Ada"}), SHARE)
    assert isinstance(answer, Rendered)
    assert answer.text == "Ada"


class Outside:
    """Stands for the child process, and counts what comes to it."""

    def __init__(self) -> None:
        self.jobs: list[RenderJob] = []

    def render_many(self, jobs: Sequence[RenderJob], _share: Share) -> list[Rendered | Problem]:
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
    rendered = acceptance.render_many(jobs, SHARE)
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
    acceptance.render_many(jobs, SHARE)
    assert len(outside.jobs) == 3 - here


def test_a_fault_among_many_is_that_of_one_alone() -> None:
    jobs = [RenderJob("", Source("text", "{{ name }}"), fields) for fields in ({"name": "a"}, {}, {"name": "c"})]
    first, second, third = acceptance.render_many(jobs, SHARE)
    assert isinstance(second, Problem)
    assert isinstance(first, Rendered)
    assert isinstance(third, Rendered)
    assert (first.text, third.text) == ("a", "c")


def test_a_template_that_took_too_long_rests_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = Bounds(children=1, running=0.2, seconds=8.0, patience=9.0, waiting=9, capacity=9)
    narrow = Pool("backend.rendering.preview_child", bounds)
    monkeypatch.setattr(acceptance, "ACCEPTANCE", narrow)
    monkeypatch.setattr(acceptance, "_SLOW", {})
    endless = RenderJob(
        "rests", Source("text", "{% for a in range(9999) %}{{ range(9999)|sort|length }}{% endfor %}"), {}
    )
    first = acceptance.render(endless, SHARE)
    assert isinstance(first, Problem)
    assert first.code == "template_arguments"
    assert "takes too long" in first.detail, first.detail
    second = acceptance.render(endless, SHARE)
    assert isinstance(second, Problem)
    assert (second.code, second.entry.status) == ("unavailable", 503)
    assert 1 <= int(second.headers["Retry-After"]) <= 10
    other = RenderJob("other", Source("text", "{{ [1]|sort|first }}"), {}, want_html=False)
    assert acceptance.render(other, SHARE) == Rendered(None, None, "1")
    narrow.close()
