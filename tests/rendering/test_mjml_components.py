"""Components of MJML come out as the reference compiler writes them; e2e compares whole documents with it."""

import re

import pytest

from backend.rendering.engine import render
from backend.rendering.mjml.writer import numbers
from backend.rendering.model import RenderJob, Source

_ACCORDION = (
    "<mj-accordion><mj-accordion-element><mj-accordion-title>t</mj-accordion-title></mj-accordion-element>"
    "</mj-accordion>"
)
_CLASSES = "<mj-class name='a' color='#123' css-class='x' /><mj-class name='b' css-class='y' />"
_SOCIAL = "<mj-social mode='vertical'><mj-social-element {} src='s' href='h'>text</mj-social-element></mj-social>"


def _column(content: str, attributes: str = "") -> str:
    return f"<mj-section><mj-column {attributes}>{content}</mj-column></mj-section>"


def _html(body: str, head: str = "", fields: object = None, attributes: str = "") -> str:
    source = f"<mjml><mj-head>{head}</mj-head><mj-body{attributes}>{body}</mj-body></mjml>"
    html = render(RenderJob("components", Source("mjml", source), fields or {})).html
    assert html is not None
    assert not re.search(r"q[0-9a-f]{20}x", html), "no mark of ours is left"
    return html


# What stands in the head, in the body, and what the reference writes for it.
CASES = {
    "defaults within a class": (
        "<mj-attributes><mj-class name='a'><mj-text color='#010203' /></mj-class></mj-attributes>",
        "<mj-section mj-class='a'><mj-column><mj-text>x</mj-text></mj-column></mj-section>",
        "color:#010203",
    ),
    "two classes": (
        f"<mj-attributes>{_CLASSES}</mj-attributes>",
        _column("<mj-text mj-class='a b'>x</mj-text>"),
        r'<td align="left" class="x y"[^>]*><div[^>]*color:#112233;',
    ),
    "icons by default": (
        "<mj-attributes><mj-accordion-element icon-wrapped-url='own' icon-height='7px' /></mj-attributes>",
        _column(_ACCORDION),
        r'src="own"[^>]*height:7px',
    ),
    "alternatives": ("", _column(_SOCIAL.format("")), r'<img[^>]* alt=""'),
    "icons right": (
        "",
        _column(_SOCIAL.format("icon-position='right' alt='i'")),
        r">text</a></td><td[^>]*><table",
    ),
    "gaps": (
        "",
        "<mj-wrapper gap='9px'><mj-section /><mj-section css-class='own' /></mj-wrapper>",
        r'<div class="own" style="margin:0px auto;max-width:600px;margin-top:9px;',
    ),
    "borders of a button": (
        "",
        _column("<mj-button href='x' width='200px' inner-padding='0' border='3px solid red'>b</mj-button>"),
        r"<a [^>]*width:194px",
    ),
    "borders of an image": (
        "",
        _column("<mj-image src='x' alt='' border-left='3px solid red' />"),
        "border:0;border-left:3px solid red;",
    ),
    "a hero's height": (
        "",
        "<mj-hero height='469px' padding='100px 0px' border-radius='4px' inner-padding='5px' />",
        r'height="269" style="[^"]*border-radius:4px;(?s:.*)mj-hero-content" style="margin:0px auto;padding:5px;',
    ),
    "a fluid hero": (
        "",
        "<mj-hero mode='fluid-height' background-url='x' background-width='600px' background-height='200px' />",
        r'padding-bottom:33%;[^>]*></td><td background="x" style="(?![^"]*[;"]height)',
    ),
    "a group's columns": (
        "",
        "<mj-section><mj-group><mj-column /><mj-column /><mj-column /></mj-group></mj-section>",
        "mj-column-per-33-333333333333336 [^>]*width:33%",
    ),
    "a column's padding in Outlook": (
        "",
        _column("<mj-image src='x' alt='' />", "padding='0 30px' border-left='5px solid red' width='50%'"),
        'width="185"',
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_is_written_as_the_reference_does(name: str) -> None:
    head, body, expected = CASES[name]
    assert re.search(expected, _html(body, head))


@pytest.mark.parametrize(
    ("attributes", "style", "width"),
    [
        ("padding-left='0'", "padding:10px 25px;padding-left:0px;", 575),
        ("padding-left='12'", "padding:10px 25px;padding-left:12;", 563),
        ("padding='0'", "padding:0px;", 600),
        ("width='200'", "padding:10px 25px;", 200),
    ],
)
def test_a_length_without_its_unit_counts_where_widths_are_worked_out(attributes: str, style: str, width: int) -> None:
    made = _html(_column(f"<mj-image src='x' alt='' {attributes} />"))
    assert style in made
    assert f'width="{width}"' in made


def test_the_body_takes_defaults_and_has_its_class() -> None:
    made = _html(
        _column("<mj-text>x</mj-text>"),
        "<mj-attributes><mj-body width='500px' background-color='#eee' /></mj-attributes>",
        attributes=" css-class='own'",
    )
    assert '<body class="own" style="word-spacing:normal;background-color:#eeeeee;">' in made
    assert "max-width:500px" in made


def test_what_is_for_all_but_outlook_stays() -> None:
    only = "<!--[if !mso]><!--><b>all but Outlook</b><!--<![endif]-->"
    made = _html(_column(f"<mj-text>a<!-- gone -->{only}</mj-text><mj-raw>{only}</mj-raw>"))
    assert made.count(only) == 2
    assert "gone" not in made


def test_lengths_with_jinja_count_as_nought_and_values_stay() -> None:
    made = _html(_column("<mj-text padding='{{ p }}px' color='{{ c }}'>x</mj-text>"), fields={"p": 7, "c": "#0a0"})
    assert "padding:7px;" in made
    assert "color:#0a0;" in made


@pytest.mark.parametrize(
    ("number", "text"), [(33.333333333333336, "33.333333333333336"), (600.0, "600"), (0.1 + 0.2, "0.30000000000000004")]
)
def test_numbers_are_written_as_javascript_writes_them(number: float, text: str) -> None:
    assert numbers.written(number) == text


@pytest.mark.parametrize(
    ("value", "number", "unit"), [("12.5px", 12, "px"), ("0", 0, "px"), ("33.3%", 33, "%"), ("wide", 0, "wide")]
)
def test_lengths_are_read_as_javascript_reads_them(value: str, number: int, unit: str) -> None:
    assert (numbers.integer(value), numbers.unit(value)) == (number, unit)
