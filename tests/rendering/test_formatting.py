"""A formatted source makes the same message: starters, random documents, and what is written in awkward ways."""

import random
import re
import time

import pytest

from backend.lib.problems import Problem
from backend.rendering import engine
from backend.rendering.faults import TemplateFault
from backend.rendering.formatting.document import formatted
from backend.rendering.mjml.compiler import compile_mjml
from backend.rendering.model import Format, Rendered, RenderJob, Source
from backend.rendering.starters import Starter, starters
from e2e.mjml_documents import documents
from e2e.mjml_ordinary import ordinary

_SPACE = re.compile(r"\s+")
# A line break inside of what the compiler writes in attributes or between them says nothing.
_BETWEEN = re.compile(r"\s*([<>])\s*")


def words(html: str) -> str:
    return _BETWEEN.sub(r"\1", _SPACE.sub(" ", html))


def rendered(form: Format, source: str, fields: object, *, batch: bool = False) -> Rendered:
    return engine.render(RenderJob("", Source(form, source), fields, batch))


def shaken(source: str, chance: random.Random) -> str:
    """Indent the lines of a source at random."""
    return re.sub(r"\n[ \t]*", lambda _: "\n" * chance.choice((1, 1, 1, 3)) + " " * chance.randrange(9), source)


@pytest.mark.parametrize("starter", [one for one in starters() if one.format in {"mjml", "html"}], ids=lambda s: s.name)
def test_a_formatted_starter_makes_the_same_message(starter: Starter) -> None:
    before = rendered(starter.format, starter.source, starter.sample_fields, batch=starter.batch)
    chance = random.Random(starter.identifier)
    for source in (starter.source, *(shaken(starter.source, chance) for _ in range(3))):
        written = formatted(starter.format, source)
        assert written is not None
        assert formatted(starter.format, written) == written
        after = rendered(starter.format, written, starter.sample_fields, batch=starter.batch)
        assert words(after.html or "") == words(before.html or "")
        assert after.text == before.text


def test_random_documents_compile_to_the_same() -> None:
    done = 0
    for one in (*documents(60, 11), *ordinary(60, 12, jinja=True)):
        written = formatted("mjml", one.source)
        try:
            before = compile_mjml(one.source)
        except TemplateFault:
            continue
        assert written is not None, one.source
        assert formatted("mjml", written) == written
        after = compile_mjml(written)
        assert words(after.html) == words(before.html), one.source
        done += 1
    assert done > 80


def test_mjml_is_arranged_by_its_components_and_blocks() -> None:
    source = """<mjml><mj-head><mj-attributes><mj-text color="red"/></mj-attributes>
<mj-style>
.a {
  color: red;
}
</mj-style></mj-head><mj-body>{% for s in samples %}<mj-section><mj-column>


<mj-text>{{ s }} <b>x</b></mj-text>{% if s %}<mj-text>
<ul>{% for a in s %}
<li>{{ a }}</li>
{% endfor %}</ul>
<pre>
 a
</pre>
</mj-text>{% else %}<mj-divider border-color="#0a7d33" border-width="2px" padding="12px 0px" container-background-color="white" />{% endif %}
</mj-column></mj-section>{% endfor %}</mj-body></mjml>"""  # noqa: E501 - as people write it
    assert (
        formatted("mjml", source)
        == """<mjml>
  <mj-head>
    <mj-attributes>
      <mj-text color="red" />
    </mj-attributes>
    <mj-style>
      .a {
        color: red;
      }
    </mj-style>
  </mj-head>
  <mj-body>
    {% for s in samples %}
      <mj-section>
        <mj-column>

          <mj-text>{{ s }} <b>x</b></mj-text>
          {% if s %}
            <mj-text>
              <ul>{% for a in s %}
                  <li>{{ a }}</li>
                {% endfor %}</ul>
              <pre>
 a
</pre>
            </mj-text>
          {% else %}
            <mj-divider
                border-color="#0a7d33"
                border-width="2px"
                padding="12px 0px"
                container-background-color="white" />
          {% endif %}
        </mj-column>
      </mj-section>
    {% endfor %}
  </mj-body>
</mjml>
"""
    )


@pytest.mark.parametrize(
    "kept",
    [
        "<pre>\n  a\n b</pre>\n",
        "<p style='white-space: pre-line'>\na\n   b</p>\n",
        "{% set x %}\n    a\n  b{% endset %}\n",
        "{% raw %}\n    <b>\n{% endraw %}\n",
        "<!--\n      a -->\n",
        "<textarea>\n    a</textarea>\n",
        "<p title='a\n        b'>x</p>\n",
        "<b>a</b><i>b</i>\n",
        "{{ '\n       ' }}\n",
        "<script>\n    a</script>\n",
    ],
)
def test_white_space_that_counts_stays(kept: str) -> None:
    assert formatted("html", kept) == kept


def test_html_is_indented_by_elements_and_blocks_and_no_line_is_broken() -> None:
    table = '<table>\n<tr><td\nclass="a"\n>x\n<br>\ny</td></tr>\n</table>'
    source = f"{{% block body %}}\n{table}\n<ul>\n<li>a\n<li>b\n</ul>\n\n\n\n{{% endblock %}}"
    assert formatted("html", source) == (
        "{% block body %}\n  <table>\n"
        '    <tr><td\n          class="a"\n          >x\n        <br>\n        y</td></tr>\n'
        "  </table>\n  <ul>\n    <li>a\n    <li>b\n  </ul>\n\n{% endblock %}\n"
    )


def test_what_cannot_be_read_is_left_as_it_is() -> None:
    for source in ("<mjml><mj-body><p>x</p></mj-body></mjml>", "<mjml><mj-body><mj-text>x", "<mjml><!--"):
        assert formatted("mjml", source) is None
    assert formatted("text", "a\n  b") is None
    assert formatted("markdown", "a\n\n    b") is None


HOSTILE = [
    "<b>\n" * 60_000,
    "</b>\n" * 50_000,
    "<mj-text>" * 25_000,
    "<mjml><!--" * 20_000,
    "{% if a %}\n" * 9_000,
    "<a " * 80_000,
    "<pre>" * 50_000,
    "<b>" + " " * 250_000 + "x",
    "<mjml>" + "<mj-raw></mj-raw" * 15_000,
]


@pytest.mark.parametrize("source", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("form", ["mjml", "html"])
def test_a_source_that_means_harm_takes_no_longer_than_its_length(form: Format, source: str) -> None:
    began = time.process_time()
    try:
        formatted(form, source)
    except Problem:
        pytest.fail("a problem is no answer")
    assert time.process_time() - began < 2
