"""Each correction of MRML does what the reference does, and is still needed."""

import re
from collections.abc import Iterator

import pytest
from mjml import mjml2html

from backend.rendering.engine import render
from backend.rendering.mjml_differences import AFTER, BEFORE
from backend.rendering.model import RenderJob, Source

_ACCORDION = (
    "<mj-accordion><mj-accordion-element><mj-accordion-title>t</mj-accordion-title></mj-accordion-element>"
    "</mj-accordion>"
)
_GROUP = "<mj-section><mj-group><mj-column /><mj-column /><mj-column /></mj-group></mj-section>"
_SOCIAL = "<mj-social mode='vertical'><mj-social-element {} src='s' href='h'>text</mj-social-element></mj-social>"
_CAROUSEL = "<mj-carousel><mj-carousel-image src='a' alt='' /></mj-carousel>"


def _column(content: str) -> str:
    return f"<mj-section><mj-column>{content}</mj-column></mj-section>"


# What stands in the head, in the body, and what the reference writes for it.
CASES = {
    "classes_for_children": (
        "<mj-attributes><mj-class name='a'><mj-text color='#010203' /></mj-class></mj-attributes>",
        "<mj-section mj-class='a'><mj-column><mj-text>x</mj-text></mj-column></mj-section>",
        "color:#010203",
    ),
    "accordion_icons": (
        "<mj-attributes><mj-accordion-element icon-wrapped-url='own' icon-height='7px' /></mj-attributes>",
        _column(_ACCORDION),
        r'src="own"[^>]*height:7px',
    ),
    "social_alternatives": ("", _column(_SOCIAL.format("")), r'<img[^>]* alt=""'),
    "social_icons_right": (
        "",
        _column(_SOCIAL.format("icon-position='right' alt='i'")),
        r">text</a></td><td[^>]*><table",
    ),
    "gaps": (
        "",
        "<mj-wrapper gap='9px'><mj-section /><mj-section css-class='own' /></mj-wrapper>",
        r'<div class="own" style="margin:0px auto;margin-top:9px;',
    ),
    "button_borders": (
        "",
        _column("<mj-button href='x' width='200px' inner-padding='0' border='3px solid red'>b</mj-button>"),
        r"<a [^>]*width:194px",
    ),
    "image_borders": (
        "",
        _column("<mj-image src='x' alt='' border-left='3px solid red' />"),
        "border:0;border-left:3px solid red;",
    ),
    "heroes": (
        "",
        "<mj-hero height='100px' padding='10px 0 20px' border-radius='4px' inner-padding='5px' />",
        r'height="70" style="border-radius:4px;(?s:.*)mj-hero-content" style="padding:5px;',
    ),
    "fluid heroes": (
        "",
        "<mj-hero mode='fluid-height' background-url='x' background-width='600px' background-height='200px' />",
        r'padding-bottom:33%;[^>]*></td><td background="x" style="(?![^"]*[;"]height)',
    ),
    "carousel_media": ("", _column(_CAROUSEL), "@media screen yahoo"),
    "group_widths": ("", _GROUP, "width:33%"),
}


def _corrections() -> Iterator[str]:
    for correction in (*BEFORE, *AFTER):
        assert correction.__doc__, "A correction says why it is made."
        yield correction.__name__.strip("_")


def test_every_correction_is_tested() -> None:
    assert set(_corrections()) <= set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_is_made_and_needed(name: str) -> None:
    head, body, expected = CASES[name]
    source = f"<mjml><mj-head>{head}</mj-head><mj-body>{body}</mj-body></mjml>"
    html = render(RenderJob("differences", Source("mjml", source), {})).html
    assert html is not None
    assert re.search(expected, html)
    assert not re.search(r"q[0-9a-f]{20}x", html), "no mark of ours is left"
    try:
        plain = str(mjml2html(source, disable_comments=True))
    except ValueError:
        return  # MRML does not know the construct at all
    assert not re.search(expected, plain), "MRML does this now: drop the correction"
