"""What a template looks up, and that it renders whenever that is there."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.lib.problems import Problem
from backend.rendering import engine
from backend.rendering.compiler import compiled
from backend.rendering.jinja.needs import are_met
from backend.rendering.limits import context
from backend.rendering.model import RenderJob, Source

_SNIPPETS = (
    "<b>{{ name }}</b>",
    "{{ fields.name|upper }}",
    "{{ fields['a b'] }}",
    "{{ note | default('none') }}",
    "{{ person.name }}",
    "{{ person.note|d(name) }}",
    "{{ name if person.note else 'x' }}",
    "{% if note is defined %}{{ note|trim }}{% elif name == 'x' and not note %}{{ person['name'] }}{% endif %}",
    "{{ name.upper }}",
    "{{ person.items }}",
    "{{ person }}",
)


def _needs(source: str) -> tuple[list[str], list[str]] | None:
    found = compiled("", Source("html", source)).needs
    if found is None:
        return None
    dotted = [(".".join((*need.mapping, need.member)), need.optional) for need in found]
    return [path for path, optional in dotted if not optional], [path for path, optional in dotted if optional]


@pytest.mark.parametrize(
    ("source", "needs"),
    [
        ("plain", ([], [])),
        ("{{ name }}{{ fields.name|upper }}{{ fields['a b'] }}", (["name", "fields.name", "fields.a b"], [])),
        ("{{ note|default('-') }}{{ a.b is defined }}", ([], ["note", "a.b"])),
        ("{% if a == 'x' and not b %}{{ c }}{% else %}{{ d if e else f }}{% endif %}", (list("acdf"), ["b", "e"])),
        ("{{ range|default('x') }}", None),
        ("{% for item in items %}{{ item }}{% endfor %}", None),
        ("{% set a = name %}{{ a }}", None),
        ("{{ fields.items() }}", None),
        ("{{ a < b }}", None),
        ("{{ a / b }}", None),
        ("{{ day|date }}", None),
        ("{{ a if b }}", None),
        ("{{ self.x }}", None),
        ("{% extends 'base.html' %}", None),
    ],
)
def test_a_template_tells_what_it_looks_up(source: str, needs: tuple[list[str], list[str]] | None) -> None:
    assert _needs(source) == needs


_value = st.one_of(st.text("x<& ", max_size=4), st.integers(-9, 9), st.none(), st.booleans(), st.just([1]))
_fields = st.fixed_dictionaries(
    {},
    optional={
        "name": _value,
        "note": _value,
        "a b": _value,
        "person": _value | st.dictionaries(st.sampled_from(["name", "note", "items"]), _value),
    },
)


@given(st.lists(st.sampled_from(_SNIPPETS), max_size=4), _fields, st.sampled_from(["html", "text", "markdown"]))
@settings(max_examples=300, deadline=None)
def test_what_is_certain_renders(snippets: list[str], fields: dict[str, object], kind: str) -> None:
    source = Source(kind, "".join(snippets))  # type: ignore[arg-type] # each of them is a format
    needs = compiled("", source).needs
    assert needs is not None
    if are_met(needs, context(fields, batch=False)):
        engine.render(RenderJob("", source, fields))


def test_what_is_certain_is_not_run_to_be_tried_but_for_its_subject(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    run = engine._run
    monkeypatch.setattr(engine, "_run", lambda *given, **more: ran.append(run(*given, **more)) or ran[-1])
    source = Source("html", "{{ name }} of {{ place|default('here') }}", "For {{ name }}")

    def tried(fields: object) -> RenderJob:
        return RenderJob("", source, fields, want_html=False, want_text=False)

    assert engine.render(tried({"name": "Ada"})).subject == "For Ada"
    assert ran == ["For Ada"]
    with pytest.raises(Problem, match="the field 'name' is missing"):
        engine.render(tried({"place": "there"}))
    assert engine.render(RenderJob("", source, {"name": "Ada"})).html == "Ada of here"


def test_values_that_might_grow_too_long_are_run() -> None:
    needs = compiled("", Source("text", "{{ name }}" * 20)).needs
    assert needs is not None
    assert are_met(needs, {"name": "x" * 1_000})
    assert not are_met(needs, {"name": "x" * 10_000})
