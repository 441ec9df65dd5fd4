"""The text alternative written without HTML is the one that the rendered HTML gives."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.rendering.compiler import compiled
from backend.rendering.engine import render
from backend.rendering.model import RenderJob, Source
from backend.rendering.starters import Starter, starters
from backend.rendering.text.flow import text_alternative
from backend.rendering.text.template import flow_template
from tests.rendering.test_mjml import FIXTURE

FIELDS: dict[str, object] = {
    "nothing": [],
    "one": ["<b>x</b>"],
    "many": ["a & b", "  two\n\nlines ", "c\x01d\x02\u200be", 7],
    "yes": True,
    "no": False,
    "url": "https://x.example/?a=1&b=&lt;2",
    "word": 'say "hi" & {{ bye }}',
    "empty": "",
}
_TEXTS = st.sampled_from(["a", " b ", "\n", "x &amp; y", "&nbsp;", "{ c }", "&#123;{ word }}", "5 &lt; 6", "ü🧪", ""])
_VALUES = st.sampled_from(
    [
        "{{ word }}",
        "{{- word -}}",
        " {{ url }} ",
        "{{ empty }}",
        "{{ word|e }}",
        "{{ many|join('<br>') }}",
        "{{ (word ~ '<')|length }}",
        "{# c #}",
        "{% set other = 'set' %}{{ other }}",
        '<a href="{{ url }}">{{ word }}</a>',
        '<a href="{{ url }}">{{ url }}</a>',
        '<a href="{% if no %}x{% else %}mailto:{{ word }}{% endif %}">m</a>',
        "<img src='x' alt='{{ word }}'>",
        "<a href='https://x.example'></a>",
        "<b style='color:{{ word }}'>b</b>",
        "<!-- {{ word }} -->",
    ]
)
_LEAVES = _TEXTS | _VALUES


def _around(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    parts = st.lists(inner, max_size=3).map("".join)
    frames = [
        "<p>{}</p>",
        "<p>{}",
        "<div>{}</div>",
        "<h2>{}</h2>",
        "<br>{}<br/>",
        "<ul><li>{}</ul>",
        "<ol>{{% for x in many %}}<li>{}{{{{ x }}}}</li>{{% endfor %}}</ol>",
        "<ul>{{% for x in nothing %}}<li>{}{{{{ x }}}}</li>{{% endfor %}}</ul>",
        "<table>{{% for x in many %}}<tr><td>{}</td><td>{{{{ x }}}}</td></tr>{{% endfor %}}</table>",
        "<table role='presentation' align='center'><tr><td>{}</td></tr></table>",
        "<div style='display:none'>{}</div>",
        "<!-- {{% if yes %}} -->{}<!-- {{% endif %}} -->",
        "<pre>a\n  {}</pre>",
        "{{% if no %}}{}{{% else %}}<p>no</p>{{% endif %}}",
        "{{%- if yes -%}} {} {{%- endif -%}}",
        "{{% for x in one %}}{}{{{{ x }}}}{{% endfor %}}",
        "{{% if yes %}}<div>{{% else %}}<div class='n'>{{% endif %}}{}</div>",
        "<title>{}</title>",
        "<span {{% if yes %}}class='c'{{% endif %}}>{}</span>",
    ]
    return st.builds(lambda frame, content: frame.format(content), st.sampled_from(frames), parts)


_TEMPLATES = st.recursive(_LEAVES, _around, max_leaves=8)


def _both(job: RenderJob) -> tuple[str, str]:
    rendered = render(job)
    assert rendered.html is not None
    return rendered.text, text_alternative(rendered.html)


@settings(deadline=None)
@given(st.lists(_TEMPLATES, max_size=3).map("".join))
def test_both_ways_agree(source: str) -> None:
    quick, slow = _both(RenderJob("both", Source("html", source), FIELDS))
    assert quick == slow


@pytest.mark.parametrize("starter", [s for s in starters() if s.format in {"html", "mjml"}], ids=lambda s: s.identifier)
def test_starters_need_no_html_for_their_text(starter: Starter) -> None:
    source = Source(starter.format, starter.source)
    assert flow_template(compiled(starter.identifier, source).flow or "{{ self.x() }}") is not None
    quick, slow = _both(RenderJob(starter.identifier, source, starter.sample_fields, starter.batch))
    assert quick == slow


@pytest.mark.parametrize("count", [0, 1, 3, 12])
def test_a_template_with_every_construct(count: int) -> None:
    attributes = [{"key": "k", "value": "<v>"}, {"key": "l", "value": "two\nlines"}]
    members = [{"sample-id": f"S-{number}", "plate": "P", "attributes": attributes} for number in range(count)]
    source = Source("mjml", FIXTURE.read_text(encoding="utf-8"))
    assert compiled("every", source).flow is not None
    quick, slow = _both(RenderJob("every", source, members, batch=True))
    assert quick == slow


@pytest.mark.parametrize(
    "source",
    [
        "{% if yes %}<ul>{% endif %}<li>x",
        "{% for x in many %}<div>{% endfor %}",
        "<{{ 'h1' }}>x",
        "<p {% if no %}style='display:none'{% endif %}>x</p>",
        "<p style=\"{{ 'display:none' if yes }}\">x</p>",
        "<a {% if no %}href='https://x.example'{% endif %}>x</a>",
        "<table role='{{ word }}'><tr><td>x",
        "{% set x %}<b>{{ word }}</b>{% endset %}{{ x }}",
        "{% filter upper %}<b>{{ word }}</b>{% endfilter %}",
        "{% block a %}<p>{{ word }}</p>{% endblock %}{{ self.a() }}",
        "a&{{ 'amp;' }}",
        "{% raw %}<p>{{ word }}</p>{% endraw %}",
        "<title>{% block a %}x{% endblock %}</title>",
    ],
)
def test_what_cannot_be_told_waits_for_the_html(source: str) -> None:
    flow = compiled("wait", Source("html", source)).flow
    assert flow is None or flow_template(flow) is None
    quick, slow = _both(RenderJob("wait", Source("html", source), FIELDS))
    assert quick == slow


def test_one_part_alone_is_the_same_part() -> None:
    for starter in starters():
        source = Source(starter.format, starter.source, starter.subject)
        job = RenderJob(starter.identifier, source, starter.sample_fields, starter.batch)
        whole = render(job)
        text_only = render(RenderJob(job.key, source, job.fields, job.batch, want_html=False))
        html_only = render(RenderJob(job.key, source, job.fields, job.batch, want_text=False))
        assert (text_only.subject, text_only.html, text_only.text) == (whole.subject, None, whole.text)
        assert (html_only.subject, html_only.html) == (whole.subject, whole.html)


def test_a_fault_has_its_line_whichever_part_is_wanted() -> None:
    source = Source("html", "<p>\n{{ missing }}</p>")
    for wanted in ({"want_html": False}, {"want_text": False}):
        with pytest.raises(Exception, match=r"^Line 2: the field 'missing' is missing\.$"):
            render(RenderJob("fault", source, {}, **wanted))


def test_a_long_table_is_laid_out_in_bounds() -> None:
    rows = "<tr>{% for x in fields.row %}<td>{{ x }}</td>{% endfor %}</tr>"
    source = Source("html", f"<table>{{% for row in fields.rows %}}{rows}{{% endfor %}}</table>")
    fields = {"rows": list(range(2000)), "row": ["x" * 40] + [""] * 30}
    assert len(render(RenderJob("long", source, fields)).text) < 2_000 * 100
