"""The gutter of sections, and mj-html-attributes."""

import re

import pytest

from backend.lib.problems import Problem
from backend.rendering.engine import render
from backend.rendering.model import RenderJob, Source

COLUMNS = "<mj-section gutter='20px'><mj-column /><mj-column /></mj-section>"
SELECTOR = "<mj-selector path='{path}'><mj-html-attribute name='{name}'>{value}</mj-html-attribute></mj-selector>"


def source(body: str, head: str = "") -> str:
    return f"<mjml>\n<mj-head>{head}</mj-head>\n<mj-body>{body}</mj-body>\n</mjml>"


def setting(path: str = ".note div", name: str = "data-sample", value: str = "{{ sample }}") -> str:
    return f"<mj-html-attributes>{SELECTOR.format(path=path, name=name, value=value)}</mj-html-attributes>"


def html(body: str, head: str = "") -> str:
    job = RenderJob("test", Source("mjml", source(body, head)), {"sample": 'S "1" <2>'})
    found = render(job).html
    assert found is not None
    return found


NOTE = "<mj-section><mj-column><mj-text css-class='note'>x</mj-text><mj-text>y</mj-text></mj-column></mj-section>"


def test_a_gutter_narrows_columns_and_keeps_them_apart_on_every_screen() -> None:
    made = html(COLUMNS)
    assert len(re.findall(r"mj-column-per-48-3333[^>]*padding:(?:0% 0% 1.666667%|1.666667% 0% 0%) 0%;", made)) == 2
    assert ".mj-column-gutter-2-1-per-3-333333 { padding: 0% 1.666667% 0% 0% !important; }" in made
    assert ".mj-column-gutter-2-2-per-3-333333 { padding: 0% 0% 0% 1.666667% !important; }" in made
    assert len(re.findall(r"width:300px;padding:0px (?:10px 0px 0px|0px 0px 10px);", made)) == 2, "in Outlook too"


def test_a_gutter_counts_the_breakpoint_and_asks_for_a_length() -> None:
    made = html(COLUMNS, "<mj-breakpoint width='320px' />")
    assert re.search(r"\(min-width:320px\) \{\n[^}]*\}\n\.mj-column-gutter-2-1", made)
    assert ".mj-column-per-50 { width:50% !important;" in html(COLUMNS.replace("20px", "wide"))


def test_an_attribute_is_set_on_what_the_selector_finds_with_the_value_of_the_field() -> None:
    made = html(NOTE, setting())
    assert made.count("data-sample") == 1
    assert re.search(r'<div[^>]* data-sample="S &#34;1&#34; &lt;2&gt;"[^>]*>x</div>', made)


def test_an_attribute_that_is_there_gets_the_new_value() -> None:
    made = html(NOTE, setting(name="style", value='color:red;font-family:"A"'))
    assert re.search(r'<div style="color:red;font-family:&quot;A&quot;">x</div>', made)


@pytest.mark.parametrize(
    ("faulty", "words"),
    [
        (setting(path="a { }"), "needs a CSS selector"),
        (setting(path=""), "needs a CSS selector"),
        (setting(name="on click"), "needs the name of an attribute"),
        ("<mj-html-attributes><mj-text>x</mj-text></mj-html-attributes>", "cannot stand inside"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_line(faulty: str, words: str) -> None:
    with pytest.raises(Problem, match=words) as caught:
        html(NOTE, faulty)
    assert "line 2" in caught.value.detail.lower()
