"""The masker: what goes behind a placeholder comes back, whatever stands around it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, TemplateSyntaxError

from backend.lib.problems import Problem
from backend.rendering.engine import check, render
from backend.rendering.jinja.environments import MJML
from backend.rendering.jinja.masking import Mask, mask_jinja, unify_newlines
from backend.rendering.jinja.tokens import lexed_spans, plain_spans, spans
from backend.rendering.model import RenderJob, Source

_EXPRESSIONS = st.sampled_from(
    [
        "{{ a }}",
        "{{- a -}}",
        "{{ a < b }}",
        "{{ a > b and '\"' != \"'\" }}",
        "{{ '<mj-text>&</mj-text>' }}",
        "{{ '}}' }}",
        "{{\n a\n }}",
        "{% if a %}x{% endif %}",
        "{%- if a < b -%}\n y {%- endif -%}",
        "{# a comment with <tags> and {{ more }} #}",
        "{% raw %}{{ left & alone }}{% endraw %}",
        "{% for x in '<>' %}{{ x }}{% endfor %}",
    ]
)
_TEXTS = st.text(st.characters(exclude_characters="{}#%\r", exclude_categories=["Cs", "Cc"]), max_size=12) | st.just(
    "\n "
)
_TEMPLATES = st.lists(_EXPRESSIONS | _TEXTS, max_size=12).map("".join)


_PIECES = st.sampled_from(
    [*"{}%#()[]'\"\\ \n-+|,.:;=!<>~a1²é", "{{", "}}", "{%", "%}", "{#", "#}", "-%}", "{%-", "raw", "endraw", " if "]
)


@given(st.lists(_PIECES, max_size=14).map("".join) | _TEMPLATES)
def test_plain_tokens_are_those_that_the_lexer_of_jinja_finds(source: str) -> None:
    found = plain_spans(source)
    try:
        lexed = list(lexed_spans(MJML, source))
    except TemplateSyntaxError:
        lexed = None
    assert found is None or found == lexed


@pytest.mark.parametrize("source", ["{{ a(b)[0] | join(', ') }}\n{%- if a != b -%}{# c #}{% endif %}", "no token", ""])
def test_what_most_templates_hold_is_plain(source: str) -> None:
    assert plain_spans(source) == list(lexed_spans(MJML, source))


def _joined(text: str) -> str:
    """Leave out the line breaks right after an opening bracket, which mean nothing to Jinja."""
    return re.sub(r"(\{[{%][-+]?)\n+", r"\1", text)


@given(_TEMPLATES)
def test_masking_and_revealing_is_the_identity_but_for_line_breaks_inside_brackets(source: str) -> None:
    mask = Mask(source)
    masked = mask_jinja(MJML, source, mask)
    revealed, _ = mask.reveal(masked)
    assert _joined(revealed) == _joined(source)
    assert not re.search(r"\{[{%#]", masked.replace("{{ left & alone }}", ""))


@given(_TEMPLATES)
def test_what_is_revealed_renders_as_the_source_does(source: str) -> None:
    mask = Mask(source)
    revealed, _ = mask.reveal(mask_jinja(MJML, source, mask))
    plain = Environment(keep_trailing_newline=True, autoescape=True)
    fields = {"a": 1, "b": 2}
    assert plain.from_string(revealed).render(fields) == plain.from_string(source).render(fields)


@given(st.text(max_size=80))
def test_any_text_is_masked_or_named_as_no_jinja(source: str) -> None:
    source = unify_newlines(source)
    try:
        list(MJML.lexer.tokeniter(source, None))
    except TemplateSyntaxError:
        return
    mask = Mask(source)
    masked = mask_jinja(MJML, source, mask)
    assert _joined(mask.reveal(masked)[0]) == _joined(source)


@given(st.lists(_EXPRESSIONS, min_size=1, max_size=6), st.integers(0, 5))
def test_every_token_has_its_line(tokens: list[str], gap: int) -> None:
    source = ("\n" * gap).join(tokens)
    for span in spans(MJML, source):
        assert span.line == source.count("\n", 0, span.start) + 1


@given(st.text(st.characters(exclude_characters="{}#%\r", exclude_categories=["Cs", "Cc"]), max_size=30))
def test_values_and_quoted_text_survive_the_compiler_escaped(text: str) -> None:
    literal = text.replace("\\", "\\\\").replace("'", "\\'")
    source = (
        "<mjml><mj-body><mj-section><mj-column>"
        f'<mj-button href="https://x.example/?a=1&b={{{{ \'{literal}\' }}}}" title="{{{{ value }}}}">'
        "[{{ value }}]</mj-button>"
        "</mj-column></mj-section></mj-body></mjml>"
    )
    html = render(RenderJob("survive", Source("mjml", source), {"value": text})).html
    assert html is not None
    escaped = Environment(autoescape=True).from_string("{{ value }}").render(value=text)
    assert f"[{escaped}]" in html
    assert f"?a=1&b={escaped}" in html.replace("&amp;b=", "&b=")


def test_a_placeholder_cannot_be_forged() -> None:
    mask = Mask("{{ secret }}")
    forged = mask_jinja(MJML, "{{ secret }}", mask)
    source = f"{forged} {{{{ secret }}}}"
    other = Mask(source)
    masked = mask_jinja(MJML, source, other)
    assert forged in masked
    assert other.indices(masked) == [0]


def test_the_line_map_leads_back_over_hidden_lines() -> None:
    source = "a\n{{\n\nx }}\nb {{ y }}\n\n{% if z\n %}{% endif %}"
    mask = Mask(source)
    revealed, lines = mask.reveal(mask_jinja(MJML, source, mask))
    compiled = revealed.split("\n")
    for name, line in (("x", 4), ("y", 5), ("z", 7)):
        location = next(number for number, text in enumerate(compiled, 1) if re.search(rf"\b{name}\b", text))
        assert lines.source_line(location) == line


@pytest.mark.parametrize("broken", ["{{ a", "{% if", "{# never ends", "{{ a ) }}", "{% raw %}"])
def test_what_is_no_jinja_has_a_line(broken: str) -> None:
    with pytest.raises(Problem, match=r"^Line 3: "):
        check(Source("mjml", f"<mjml>\n<mj-body>\n{broken}</mj-body></mjml>"))
