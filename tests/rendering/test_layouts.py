"""The pages that messages come in: their language, their title, the layout of Markdown and text."""

import re

import lxml.html
import pytest

from backend.lib.languages import language_tag
from backend.lib.problems import Problem
from backend.rendering.acceptance import Allowance
from backend.rendering.compiler import compiled
from backend.rendering.engine import check, render
from backend.rendering.locales import direction
from backend.rendering.model import Format, Partial, Rendered, RenderJob, Source
from backend.rendering.pool import PREVIEWS, Share

MARKDOWN = "# Sample {{ id }}\n\n* one\n* two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
STILL = "<html><body><h1>{% block title %}{% endblock %}</h1>\n{% block content %}{% endblock %}"
OWN = STILL + "<i>{{ end|d('') }}</i></body></html>"


def rendered(form: Format, source: str, *, subject: str | None = None, own: str | None = None, **more: str) -> Rendered:
    partials = () if own is None else (Partial("X_OWN", "html", own),)
    layout = more.get("layout", None if own is None else "X_OWN")
    made = Source(form, source, "Ours", partials, language=more.get("language", "en"), layout=layout)
    return render(RenderJob("", made, {"id": "S<1", "end": "the end"}, subject=subject))


def page(one: Rendered) -> lxml.html.HtmlElement:
    assert one.html is not None
    return lxml.html.document_fromstring(one.html)


@pytest.mark.parametrize("form", ["markdown", "text"])
def test_markdown_and_text_come_in_a_whole_page(form: Format) -> None:
    made = rendered(form, MARKDOWN, subject="Sent <b>")
    root = page(made)
    assert (root.get("lang"), root.get("dir"), root.findtext("head/title")) == ("en", "ltr", "Sent <b>")
    (words,) = root.find_class("words")
    assert "Sample S<1" in words.text_content()
    assert made.text.startswith(("# Sample S<1", "Sample S<1"))
    assert made.subject == "Ours"
    assert not root.xpath("//link | //script | //img")


def test_the_html_of_markdown_stands_in_the_page_as_it_stands_elsewhere() -> None:
    made = rendered("markdown", MARKDOWN)
    assert made.bare_html is not None
    assert made.bare_html.startswith("<h1>Sample S&lt;1</h1>")
    assert made.bare_html in (made.html or "")
    assert rendered("text", MARKDOWN).bare_html is None
    assert rendered("html", "<p>x</p>").bare_html == "<p>x</p>"


def test_lines_spaces_and_addresses_of_text_are_kept() -> None:
    source = "Two\nlines\n\n  a    b\n\n\n<b>&\nsee https://x.example/a?b=1&c=(2), or (http://y.example).\n"
    (words,) = page(rendered("text", source)).find_class("words")
    first, second, third = words.findall("p")
    assert [first.text, first.find("br").tail] == ["Two", "\nlines"]
    assert second.text == "\u00a0 a\u00a0\u00a0\u00a0 b"
    assert third.text == "<b>&"
    assert [link.get("href") for link in third.iter("a")] == ["https://x.example/a?b=1&c=(2)", "http://y.example"]
    assert third.text_content().endswith("see https://x.example/a?b=1&c=(2), or (http://y.example).")


def test_a_service_replaces_the_layout_or_does_without() -> None:
    root = page(rendered("markdown", "*x*", subject="Sent", own=OWN))
    assert (root.get("lang"), root.findtext("head/title")) == ("en", "Sent")
    assert "".join(root.find("body").itertext()).split() == ["Sent", "x", "the", "end"]
    bare = rendered("markdown", "*x*", layout="none")
    assert re.search(r"<body>\s*<p><em>x</em></p>\s*</body>", bare.html or "")
    assert (page(bare).get("lang"), page(bare).findtext("head/title")) == ("en", "Ours")


def test_a_layout_may_extend_ours() -> None:
    own = "{% extends 'mail.html' %}{% block style %}.words { color: red }{% endblock %}"
    made = rendered("text", "x", own=own, language="he")
    assert ".words { color: red }" in (made.html or "")
    assert page(made).get("dir") == "rtl"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("<p>{{ content }}</p>", "The layout of these e-mails, 'X_OWN', has no block named 'content'."),
        ("{% block content %}{% endblock %}{{ nothing }}", "The field 'nothing' is missing (line 1 of 'X_OWN')."),
    ],
)
def test_a_layout_that_cannot_work_is_told(source: str, told: str) -> None:
    with pytest.raises(Problem) as refused:
        rendered("markdown", "x", own=source)
    assert refused.value.detail == told


def test_what_the_layout_needs_is_asked_for_before_a_message_is_accepted() -> None:
    source = Source("text", "{{ a }}", "S", (Partial("X_OWN", "html", OWN.replace("|d('')", "")),), layout="X_OWN")
    compiled("k", source)
    asked = {"want_html": False, "want_text": False}
    refused = Allowance().try_at_once(RenderJob("k", source, {"a": 1}, **asked))
    assert isinstance(refused, Problem)
    assert "'end' is missing" in refused.detail
    assert Allowance().try_at_once(RenderJob("k", source, {"a": 1, "end": 2}, **asked)) == Rendered("S", None, "")


def test_our_layout_makes_nothing_uncertain() -> None:
    ours = compiled("", Source("markdown", "{{ a }}"))
    assert (ours.harmless, ours.memberwise) == (True, True)
    still = compiled("", Source("markdown", "{{ a }}", None, (Partial("X_OWN", "html", STILL),), layout="X_OWN"))
    assert still.memberwise
    varying = compiled("", Source("markdown", "{{ a }}", None, (Partial("X_OWN", "html", OWN),), layout="X_OWN"))
    assert (varying.harmless, varying.memberwise) == (True, False)


def test_a_part_is_shown_as_it_is() -> None:
    made = render(RenderJob("", Source("markdown", "*x*", fragment=True), {}))
    assert (made.html, made.fragment) == ("<p><em>x</em></p>\n", None)


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("<html><head></head><body>x</body></html>", '<html lang="de-AT"><head><title>Ours</title></head>'),
        ("<HTML LANG='und'><head><title> </title>", '<HTML lang="de-AT"><head><title>Ours</title>'),
        ('<html xml:lang="x" lang=""><body>', '<html xml:lang="x" lang="de-AT"><title>Ours</title><body>'),
        ("<html lang=fr><head><title>Own</title></head>", "<html lang=fr><head><title>Own</title></head>"),
        ("<p>a part</p>", "<p>a part</p>"),
    ],
)
def test_html_gets_the_language_and_title_that_it_lacks(source: str, written: str) -> None:
    assert (rendered("html", source, language="de-AT").html or "").startswith(written)


def test_a_document_is_written_in_the_direction_of_the_language_that_it_gets() -> None:
    assert '<html lang="ur" dir="rtl">' in (rendered("html", "<html><body>", language="ur").html or "")
    assert '<html lang="ur" dir="auto">' in (rendered("html", "<html dir='auto'>", language="ur").html or "").replace(
        "'", '"'
    )


def test_mjml_speaks_the_language_of_its_author_or_service() -> None:
    body = "<mj-body><mj-section><mj-column><mj-text>x</mj-text></mj-column></mj-section></mj-body></mjml>"
    for root, tag in (("<mjml>", "fa"), ('<mjml lang="und">', "fa"), ('<mjml lang="cy">', "cy")):
        html = rendered("mjml", root + body, language="fa").html or ""
        assert re.findall(r'\slang="([^"]*)"', html) == [tag, tag]
        assert "<title>Ours</title>" in html


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("en", "1,234.5 / 02 March 2026"),
        ("de-CH", "1'234.5 / 02 März 2026"),
        ("pt-BR", "1.234,5 / 02 março 2026"),
        ("zh-Hant-TW", "1,234.5 / 02 3月 2026"),
        ("de-LI", "1.234,5 / 02 März 2026"),
    ],
)
@pytest.mark.parametrize("form", ["text", "html", "markdown"])
def test_numbers_and_dates_are_those_of_the_language(form: Format, language: str, written: str) -> None:
    line = "{{ 1234.5|number }} / {{ '2026-03-02'|date }} {{ '2026-03-02'|date('EEE', 'fr') }}"
    job = RenderJob("", Source(form, line, language=language), {})
    made = PREVIEWS.render(job, Share(1))
    assert made.text == f"{written} lun."


def test_a_macro_of_a_partial_speaks_the_language_too() -> None:
    part = Partial("X_M", "text", "{% macro m(n) %}{{ n|number }}{% endmacro %}")
    source = Source("text", "{% from 'X_M' import m %}{{ m(1.5) }}", None, (part,), language="fr")
    assert render(RenderJob("", source, {})).text == "1,5"


@pytest.mark.parametrize(
    ("written", "tag"), [("en", "en"), (" en-gb ", "en-GB"), ("zh-TW", "zh-Hant-TW"), ("ar-EG", "ar-EG")]
)
def test_a_language_has_one_spelling(written: str, tag: str) -> None:
    assert language_tag(written) == tag


@pytest.mark.parametrize(
    "written", ["", "und", "en_GB", "xx", "tlh", "yi", "en-XX", "de-1996-x-y", "English", "a" * 99]
)
def test_what_is_no_language_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"^(There is no language|Numbers and dates cannot be written in) '"):
        language_tag(written)


def test_the_direction_of_languages() -> None:
    assert [direction(tag) for tag in ("ar", "fa", "he", "ur-PK", "en-GB", "zh-Hant")] == [*["rtl"] * 4, "ltr", "ltr"]


def test_a_page_that_gmail_would_cut_is_warned_of() -> None:
    (warning,) = check(Source("markdown", "a " * 60_000), {})
    assert warning.code == "clipped"
