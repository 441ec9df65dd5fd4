"""Style sheets written into the elements once do what they do to the rendered HTML."""

import re

import pytest

from backend.rendering import compiler
from backend.rendering.compiler import _Kept, compiled
from backend.rendering.engine import render
from backend.rendering.html.inlining import css_inliner
from backend.rendering.mjml import compiler as mjml_compiler
from backend.rendering.model import RenderJob, Source
from backend.rendering.starters import starters
from backend.rendering.text.flow import text_alternative
from tests.rendering.test_mjml import FIXTURE

_CSS = """
/* a comment */ .sheet { box-shadow: 0 4px 16px rgba(20, 30, 40, 0.2); }
.x, td > .y b { letter-spacing: 2px !important; font-family: "Arial Black" }
div .z tr { margin: 1px } table { border-spacing: 1px } p { color: #123456; }
"""
_BODY = """
<mj-section css-class="x"><mj-column css-class="y">
  <mj-text css-class="y">a {% if yes %}<b title="{{ word }}">{{ word }}</b>{% endif %}
  <p style="color:red">p</p></mj-text>
  <mj-table css-class="z">
  {% for x in many %}<tr class="x"><td style='padding:1px'>{{ x }}</td></tr>{% endfor %}</mj-table>
  <mj-divider /><mj-button href="{{ word }}">b</mj-button>
</mj-column></mj-section>
{% for x in many %}
<mj-section css-class="sheet x"><mj-column><mj-text>{{ x }}</mj-text></mj-column></mj-section>{% endfor %}
"""
FIELDS = {"yes": True, "style": "color:blue", "word": 'say "hi"', "many": [1, 2, 3], "none": []}


def _mjml(css: str, body: str = _BODY) -> Source:
    head = f'<mj-head><mj-style inline="inline">{css}</mj-style></mj-head>'
    return Source("mjml", f"<mjml>{head}<mj-body>{body}</mj-body></mjml>")


def _jobs() -> dict[str, RenderJob]:
    jobs = {
        starter.identifier: RenderJob("", Source("mjml", starter.source), starter.sample_fields, starter.batch)
        for starter in starters()
        if starter.format == "mjml"
    }
    members = [{"sample-id": "S", "plate": "P", "attributes": [{"key": "k", "value": "<v>"}]}] * 3
    jobs["report"] = RenderJob("", Source("mjml", FIXTURE.read_text(encoding="utf-8")), members, batch=True)
    jobs["many"] = RenderJob("", _mjml(_CSS), FIELDS)
    jobs["none"] = RenderJob("", _mjml(_CSS), {**FIELDS, "many": []})
    return jobs


JOBS = _jobs()


@pytest.mark.parametrize("name", JOBS)
def test_once_is_as_good_as_each_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job = JOBS[name]
    monkeypatch.setattr(compiler, "_kept", _Kept(9))
    assert compiled(job.key, job.source).inliner is None
    once = render(job).html
    monkeypatch.setattr(compiler, "_kept", _Kept(9))
    monkeypatch.setattr(mjml_compiler, "inlined_template", lambda *_: None)
    assert compiled(job.key, job.source).inliner is not None
    each_time = render(job).html
    assert once is not None
    assert each_time is not None
    parsed_and_written = css_inliner("").inline
    assert _styles(parsed_and_written(once)) == _styles(each_time)
    assert parsed_and_written(once) == each_time


def _styles(html: str) -> list[str]:
    return re.findall(r'style="[^"]*"', html)


@pytest.mark.parametrize(
    ("css", "body"),
    [
        (".x:first-child { color: red }", _BODY),
        (".x + .x { color: red }", _BODY),
        ("td > * { color: red }", _BODY),
        ("tbody { color: red }", _BODY),
        ("td[align] { color: red }", _BODY),
        ("@media print { .x { color: red } }", _BODY),
        (".x { color: red }", '<mj-section css-class="{{ word }}" />'),
        (
            "b { color: red }",
            '<mj-section><mj-column><mj-text><b style="{{ style }}">x</b></mj-text></mj-column></mj-section>',
        ),
        (
            "b { color: red }",
            "<mj-hero><mj-text>{% if yes %}<b>{% else %}<i>{% endif %}x</mj-text></mj-hero>",
        ),
    ],
)
def test_what_depends_on_the_fields_waits_for_them(css: str, body: str) -> None:
    assert compiled("wait", _mjml(css, body)).inliner is not None
    assert render(RenderJob("wait", _mjml(css, body), FIELDS)).html


@pytest.mark.parametrize("css", [".x { display: none }", ".x:first-child { display: none }", "b { display: none }"])
def test_what_a_style_sheet_hides_is_not_in_the_text(css: str) -> None:
    body = '<mj-section css-class="x"><mj-column><mj-text>seen? <b>or not</b></mj-text></mj-column></mj-section>'
    rendered = render(RenderJob("hidden", _mjml(css, body), FIELDS))
    assert rendered.html is not None
    assert rendered.text == text_alternative(rendered.html)
    assert "or not" not in rendered.text
