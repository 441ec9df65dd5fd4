"""MJML that the reference compiler takes although it is no strict XML, and blocks of Jinja that cannot balance."""

import pytest

from backend.rendering.engine import check, render
from backend.rendering.model import RenderJob, Source, TemplateWarning

PAGE = (
    "<mjml><mj-head>{head}</mj-head><mj-body><mj-section><mj-column>{content}</mj-column></mj-section></mj-body></mjml>"
)


def page(content: str, head: str = "") -> str:
    return PAGE.replace("{head}", head).replace("{content}", content)


def html(source: str, fields: object = None) -> str:
    made = render(RenderJob("leniency", Source("mjml", source), fields or {})).html
    assert made is not None
    return made


def warnings(source: str) -> list[TemplateWarning]:
    return check(Source("mjml", source))


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("\ufeff" + page("<mj-text>x</mj-text>"), "<!doctype html>"),
        (page("<mj-text color='red'padding=\"3px\">x</mj-text>"), "padding:3px;"),
        (page("<mj-image alt='b'src='a'width='30px'/>"), 'width="30"'),
        (page("<mj-text color=red>x</mj-text>"), "color:red;"),
        (page("<mj-image alt src='a' />"), 'alt=""'),
        (page("<mj-image alt='a < b' src='a' />"), 'alt="a &lt; b"'),
        (page("<mj-text><![CDATA[a b]]></mj-text>"), "<![CDATA[a b]]>"),
        (page("<![CDATA[gone]]><mj-text>x</mj-text>"), ">x</div>"),
        (page("<mj-text>x</mj-text>", "<mj-style><![CDATA[.a > b { color: red }]]></mj-style>"), ".a > b"),
        (page("<mj-text><mj-list><mj-li>one</mj-li></mj-list></mj-text>"), "<mj-list><mj-li>one</mj-li></mj-list>"),
        ("<?xml version='1.0'?><!DOCTYPE mjml>\n" + page("<mj-text>x</mj-text>"), ">x</div>"),
        (
            page("<mj-text>x</mj-text>").replace("<mjml>", "<mjml xmlns='urn:x' xmlns:a=\"urn:y\" lang='de'>"),
            'lang="de"',
        ),
    ],
)
def test_what_the_reference_takes_is_taken(source: str, seen: str) -> None:
    assert seen in html(source)


@pytest.mark.parametrize("location", ["<mjml>", "</mjml>", ""])
def test_what_is_to_begin_the_file_begins_it(location: str) -> None:
    raw = "<mj-raw position='file-start'><!--[if x]>first<![endif]-->{{ 1 + 1 }}</mj-raw>"
    source = page("<mj-text>x</mj-text>")
    source = source.replace(location, raw + location if location == "</mjml>" else location + raw, 1)
    assert html(source).lstrip().startswith("<!--[if x]>first<![endif]-->2")


@pytest.mark.parametrize(
    "content",
    [
        "<mj-navbar>{% for x in xs %}<mj-navbar-link href='#'>[{{ x }}]</mj-navbar-link>{% endfor %}</mj-navbar>",
        (
            "<mj-social>{% for x in xs %}<mj-social-element name='web' href='#'>[{{ x }}]</mj-social-element>"
            "{% endfor %}</mj-social>"
        ),
        (
            "<mj-accordion>{% for x in xs %}<mj-accordion-element><mj-accordion-title>[{{ x }}]</mj-accordion-title>"
            "{% if x %}<mj-accordion-text>y</mj-accordion-text>{% endif %}</mj-accordion-element>{% endfor %}"
            "</mj-accordion>"
        ),
    ],
)
def test_links_and_titles_can_be_repeated(content: str) -> None:
    made = html(page(content), {"xs": [1, 2]})
    assert "[1]" in made
    assert "[2]" in made
    assert check(Source("mjml", page(content)), {"xs": [1, 2]}) == []


def test_a_tag_that_only_looks_like_a_component_is_told() -> None:
    found = warnings(page("<mj-text>a\n<mj-list>b</mj-list></mj-text>"))
    assert [(one.line, one.code) for one in found] == [(2, "unknown_component")]
    assert "<mj-list>" in found[0].detail


@pytest.mark.parametrize(
    ("source", "first", "words"),
    [
        (
            (
                "<mjml><mj-body>\n<mj-raw>{% if x %}</mj-raw><mj-section>\n<mj-raw>{% endif %}</mj-raw></mj-section>"
                "</mj-body></mjml>"
            ),
            2,
            ["'{% if x %}' stands in <mj-body>", "'{% endif %}' on line 3 in <mj-section>"],
        ),
        (
            page("<mj-text>{%- for a in b %}</mj-text>\n<mj-text>{% endfor %}</mj-text>"),
            1,
            ["'{%- for a in b %}' stands in <mj-text>", "on line 2 in another <mj-text>"],
        ),
        (
            page("{% if a %}<mj-text>\n{% else %}</mj-text>{% endif %}"),
            1,
            ["stands in <mj-column>, but '{% else %}' on line 2 in <mj-text>"],
        ),
    ],
)
def test_blocks_that_cross_elements_are_told_with_both_ends(source: str, first: int, words: list[str]) -> None:
    found = [one for one in warnings(source) if one.code == "crossing_block"]
    assert [one.line for one in found] == [first]
    for part in words:
        assert part in found[0].detail


def test_blocks_within_one_element_are_not_told() -> None:
    content = (
        "{% if a %}{% set x %}{{ 1 }}{% endset %}{% set z = 1 %}"
        "<mj-text padding='{% if a %}1px{% else %}2px{% endif %}'>"
        "{% for b in a %}<mj-raw>{% if b %}</mj-raw>{{ b }}<mj-raw>{% endif %}</mj-raw>{% endfor %}</mj-text>"
        "<mj-raw>{% endif %}</mj-raw>"
    )
    assert [one.code for one in warnings(page(content)) if one.code != "unknown_field"] == []
