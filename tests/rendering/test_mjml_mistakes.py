"""Mistakes in MJML: the line is that of the mistake, and the sentence says what to write instead."""

import re

import pytest

from backend.lib.problems import Problem
from backend.rendering.engine import check
from backend.rendering.model import Source

# What no sentence for people holds: masks, pointers, and how Python or the parser speak.
_INSIDE = re.compile(r"q[0-9a-f]{20}x|object at|NoneType|Traceback|ERR_|xmlns|specification|attValue|construct|'str'")


def page(content: str) -> str:
    return f"<mjml>\n<mj-body>\n<mj-section>\n<mj-column>\n{content}\n</mj-column>\n</mj-section>\n</mj-body>\n</mjml>"


REFUSED = [
    (page("<mj-text>a"), 5, "<mj-text> is never closed"),
    (page("<mj-text>a</mj-txt>"), 5, "<mj-text> is never closed"),
    ("<mjml>\n<mj-body>\n<mj-section>\n<mj-column>\n</mj-section>\n</mj-body>\n</mjml>", 4, "</mj-section> on line 5"),
    ("<mjml>\n<mj-body>\n<mj-section>\n</mj-column>\n</mj-section>\n</mj-body>\n</mjml>", 4, "closed by </mj-column>"),
    ("<mjml>\n<mj-body>\n<mj-section>\n</mj-body>\n</mjml>", 3, "<mj-section> is never closed"),
    ("<mjml>\n<mj-body>\n", 2, "<mj-body> is never closed"),
    (page("</mj-text>"), 5, "closed by </mj-text>"),
    (page("<mj-column>x</mj-column>"), 5, "it belongs directly into <mj-section> or <mj-group>"),
    (page("<mj-section />"), 5, "it belongs directly into <mj-body> or <mj-wrapper>"),
    (page("<mj-navbar-link>x</mj-navbar-link>"), 5, "it belongs directly into <mj-navbar>"),
    ("<mjml>\n<mj-body>\n<mj-text>x</mj-text></mj-body></mjml>", 3, "directly into <mj-column> or <mj-hero>"),
    ("<mjml>\n<mj-body>\n<mj-title>x</mj-title></mj-body></mjml>", 3, "it belongs directly into <mj-head>"),
    (page("<mj-txt>a</mj-txt>"), 5, "did you mean <mj-text>?"),
    (page("<mj-imgae />"), 5, "did you mean <mj-image>?"),
    (page("<MJ-TEXT>a</MJ-TEXT>"), 5, "small letters: <mj-text>"),
    (page("<mj-list>a</mj-list>"), 5, "MJML has no component <mj-list>"),
    (page("<div>a</div>"), 5, "HTML stands inside <mj-text> or <mj-raw>: <div> is directly in <mj-column>"),
    (page("<mj-text><mj-button>a</mj-button></mj-text>"), 5, "<mj-button> cannot stand inside <mj-text>"),
    (page("<mj-text>\n\n<mj-section /></mj-text>"), 7, "<mj-section> cannot stand inside <mj-text>"),
    (page('<mj-image src="a />\n<mj-text>b</mj-text>'), 5, "a quotation mark is missing in the tag <mj-image"),
    (page("<mj-image src='a' <mj-text>b</mj-text>"), 5, "'>' is missing in the tag <mj-image"),
    (page("a < b"), 5, "write &lt;"),
    (page("<mj-image = src='a' />"), 5, 'write attributes as name="value"'),
    (page("<mj-image @click='a' />"), 5, "'@click' cannot be the name of an attribute"),
    (
        page("<mj-image {% if a %}width='3px'{% endif %} />"),
        5,
        "{% if a %} stands inside the tag <mj-image>",
    ),
    (page("<mj-image {{ a }} />"), 5, "{{ a }} stands inside the tag <mj-image>"),
    (page("<mj-image\n\n{{ a\n}}='b' />"), 5, "write Jinja inside the value"),
    (page("<!-- never closed"), 5, "a comment is never closed"),
    (page("<mj-carousel>{% if a %}{% endif %}</mj-carousel>"), 5, "Jinja cannot stand directly inside <mj-carousel>"),
    ("<p>x</p>", 1, "begins with <mjml>"),
    ("<mjml>\n<mj-head></mj-head>\n</mjml>", 1, "<mj-body> is missing"),
]


@pytest.mark.parametrize(("source", "line", "words"), REFUSED)
def test_is_refused_with_its_line_and_what_to_write(source: str, line: int, words: str) -> None:
    with pytest.raises(Problem) as caught:
        check(Source("mjml", source))
    assert words in caught.value.detail
    assert caught.value.detail.startswith(f"Line {line}: ")
    assert not _INSIDE.search(caught.value.detail)


TOLD = [
    ("<mj-text colr='red'>a</mj-text>", "unknown_attribute", "Did you mean 'color'?"),
    ("<mj-text color='rde'>a</mj-text>", "invalid_value", "takes a colour such as #0a7d33"),
    ("<mj-text color='#12'>a</mj-text>", "invalid_value", "'#12' is no value for 'color' of <mj-text>"),
    ("<mj-text padding='10'>a</mj-text>", "invalid_value", "takes one to four lengths in px or %, such as 12px"),
    ("<mj-text padding='1px 2px 3px 4px 5px'>a</mj-text>", "invalid_value", "one to four lengths"),
    ("<mj-text font-size='2em'>a</mj-text>", "invalid_value", "takes a length in px"),
    ("<mj-image src='a' alt='' width='50%' />", "invalid_value", "takes a length in px"),
    ("<mj-text align='middle'>a</mj-text>", "invalid_value", "takes one of left, center, right, justify"),
    ("<mj-image src='a' alt='' fluid-on-mobile='yes' />", "invalid_value", "takes one of true, false"),
    ("<mj-table cellpadding='wide'></mj-table>", "invalid_value", "takes a whole number"),
    ("<mj-text letter-spacing='wide'>a</mj-text>", "invalid_value", "takes a length in px or em"),
    ("<mj-image src='a' />", "missing_alt", "no alt text"),
    ("words <mj-text>a</mj-text>", "lost_text", "belongs into mj-text"),
    ("<mj-text padding='1px' padding='2px'>a</mj-text>", "doubled_attribute", "the first one counts"),
]


@pytest.mark.parametrize(("content", "code", "words"), TOLD)
def test_is_told_with_its_line(content: str, code: str, words: str) -> None:
    found = check(Source("mjml", page(content)))
    assert [(one.line, one.code) for one in found] == [(5, code)]
    assert words in found[0].detail
    assert not _INSIDE.search(found[0].detail)


@pytest.mark.parametrize(
    "content",
    [
        "<mj-text padding='0' color='#abc' line-height='1.5' letter-spacing='-1px' align='justify'>a</mj-text>",
        "<mj-text padding='{{ p }}px' color='{{ c }}' align='{% if p %}left{% endif %}'>a</mj-text>",
        "<mj-image src='a' alt='' width='30px' height='auto' fluid-on-mobile='true' />",
        "<mj-button background-color='none' color='rgb(1, 2, 3)' width='50%'>a</mj-button>",
        "<mj-divider border-color='transparent' border-width='1px' width='auto%' />",
    ],
)
def test_what_is_right_is_not_told(content: str) -> None:
    codes = {one.code for one in check(Source("mjml", page(content)))}
    assert ("invalid_value" in codes) == ("auto%" in content)


def test_no_source_takes_long() -> None:
    for piece in ("<mj-text ", '<a b="', "<", "</mj-text>", "<mj-section>", "<a 'b"):
        with pytest.raises(Problem):
            check(Source("mjml", "<mjml><mj-body>" + piece * (100_000 // len(piece))))
