"""Which templates are tried in the process that accepts, and that the others are tried all the same."""

import pytest

from backend.lib.problems import Problem
from backend.rendering import acceptance
from backend.rendering.compiler import compiled
from backend.rendering.model import RenderJob, Source
from tests.rendering.hostile import HEAVY

_PLAIN = "{% for item in items if item.name %}<p>{{ item.name|upper }}{{ ', '|default('-') }}</p>{% endfor %}"


@pytest.mark.parametrize(
    ("source", "harmless"),
    [
        (_PLAIN, True),
        ("{{ fields.items()|length }}{% set a = name ~ '!' %}{{ a }}", True),
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
