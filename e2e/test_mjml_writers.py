"""MRML and our own components write the same to every reader, wherever MRML is let write."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from backend.rendering.mjml import mrml
from backend.rendering.mjml.assembly import assemble
from backend.rendering.mjml.compiler import compile_mjml
from backend.rendering.model import Source
from backend.rendering.starters import starters
from e2e.mjml_fuzz import WIDTHS, compared
from e2e.mjml_ordinary import ordinary
from e2e.mjml_pictures import Camera, difference
from e2e.mjml_views import canonical, outlook
from e2e.mjml_writers import written
from e2e.test_mjml_fidelity import FIXTURES

SEED = 1
STARTERS = {one.identifier: one.source for one in starters() if one.format == "mjml"}
_PLAIN = ("attributes", "dividers", "html_attributes", "navbars", "raw", "texts")
ORDINARY = {
    **STARTERS,
    "report": (FIXTURES / "sample_report.mjml").read_text(encoding="utf-8"),
    **{name: (FIXTURES / "mjml" / f"{name}.mjml").read_text(encoding="utf-8") for name in _PLAIN},
}
_BORDER = "border-left='3px solid red'"
# One document for each line of what MRML writes otherwise.
OTHERS = {
    "owa of <mjml>": ("<mjml owa='desktop'>", "<mj-text>x</mj-text>"),
    "css-class of <mj-body>": ("<mj-body css-class='own'>", "x"),
    "id of <mj-body>": ("<mj-body id='own'>", "x"),
    "width of <mj-body>": ("<mj-body width='640'>", "x"),
    "gutter of <mj-section>": ("<mj-section gutter='10px'>", "</mj-column><mj-column>"),
    "padding of <mj-section>": ("<mj-section padding='10 12px'>", "<mj-image src='x' />"),
    "border-left of <mj-section>": ("<mj-section border='2px solid red' border-left='0'>", "<mj-image src='x' />"),
    "border-radius of <mj-section>": ("<mj-section full-width='full-width' border-radius='4px'>", "x"),
    "css-class of <mj-section>": ("<mj-section css-class='own other'>", "x"),
    "width of <mj-column>": ("<mj-column width='33.33%'>", "x"),
    "inner-border of <mj-column>": ("<mj-column padding='9px' inner-border='3px solid red'>", "<mj-image src='x' />"),
    "inner-border-left": ("<mj-column padding='9px' inner-border-left='3px solid red'>", "<mj-image src='x' />"),
    "inner-border-radius": ("<mj-column padding='9px' inner-border-radius='3px'>", "x"),
    "title of <mj-button>": ("", "<mj-button title='x'>x</mj-button>"),
    "borders are not taken": ("", f"<mj-button width='99px' {_BORDER}>x</mj-button>"),
    "background-color of <mj-button>": ("", "<mj-button background-color='none'>x</mj-button>"),
    "border-left of <mj-image>": ("", f"<mj-image src='x' {_BORDER} />"),
    "title of <mj-image>": ("", "<mj-image src='x' href='y' title='x' />"),
    "sizes of <mj-image>": ("", "<mj-image src='x' srcset='y 1x' sizes='x' />"),
    "height of <mj-image>": ("", "<mj-image src='x' height='20.5px' />"),
    "width of <mj-image>": ("", "<mj-image src='x' width='99' />"),
    "ico-padding-left of <mj-navbar>": (
        "",
        "<mj-navbar hamburger='hamburger' ico-padding-left='34px'><mj-navbar-link href='x' /></mj-navbar>",
    ),
    "border of <mj-table>": ("", "<mj-table border='1px solid red'><tr><td>x</td></tr></mj-table>"),
    "cellspacing of <mj-table>": ("", "<mj-table cellspacing='2'><tr><td>x</td></tr></mj-table>"),
    "role of <mj-table>": ("", "<mj-table role='none'><tr><td>x</td></tr></mj-table>"),
    "width of <mj-table>": ("", "<mj-table width='200px'><tr><td>x</td></tr></mj-table>"),
    "<mj-social>": ("", "<mj-social><mj-social-element name='github' href='x' /></mj-social>"),
    "<mj-carousel>": ("", "<mj-carousel><mj-carousel-image src='x' /></mj-carousel>"),
    "<mj-accordion>": ("", "<mj-accordion><mj-accordion-element /></mj-accordion>"),
    "a divider": ("", "<mj-divider padding='0 1px' width='33%' />"),
    "a column": ("", "</mj-column><mj-column></mj-column><mj-column>"),
    "is empty": ("<mj-section background-color=''>", "x"),
}


def _source(opening: str, content: str) -> str:
    """Put content into a column of a document one tag of which is another."""
    given = {opening.partition(" ")[0].strip("<>"): opening} if opening else {}
    tags = ("mjml", "mj-body", "mj-section", "mj-column")
    before = "".join(given.get(tag, f"<{tag}>") for tag in tags)
    return before + content + "".join(f"</{tag}>" for tag in reversed(tags))


@pytest.fixture(scope="module")
def camera(chromium: Browser) -> Iterator[Camera]:
    camera = Camera(chromium)
    yield camera
    camera.close()


def test_mrml_compiles_every_starter_and_ordinary_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    real = mrml.mjml2html

    def counted(text: str, **options: object) -> str:
        compiled.append(text)
        return str(real(text, **options))

    monkeypatch.setattr(mrml, "mjml2html", counted)
    for number, source in enumerate(ORDINARY.values(), 1):
        assert written(source).difference is None
        compiled.clear()
        compile_mjml(assemble(Source("mjml", source)).text)
        assert len(compiled) == 1, number
    assert len(STARTERS) == 3


@pytest.mark.parametrize("name", ORDINARY)
def test_the_two_writers_agree(name: str, camera: Camera) -> None:
    both = written(ORDINARY[name])
    assert both.alike
    for view in (str, outlook):
        for width in WIDTHS:
            assert difference(camera.picture(view(both.mrml), width), camera.picture(view(both.ours), width)) == 0


@pytest.mark.parametrize("jinja", [False, True])
def test_the_two_writers_agree_on_random_documents(jinja: bool) -> None:
    many = {one.number: written(one.source) for one in ordinary(330, SEED, jinja=jinja)}
    taken = {number: one for number, one in many.items() if one.difference is None}
    assert [number for number, one in taken.items() if not one.alike] == []
    assert len(taken) > 0.8 * len(many)


def test_ordinary_documents_look_as_the_reference_compiler_draws_them(camera: Camera) -> None:
    results = list(compared(list(ordinary(220, SEED)), camera))
    assert [one.document.number for one in results if one.differs] == []
    assert len(results) == 220


def test_jinja_between_what_mrml_cannot_hold_it_in_is_for_our_own_writer() -> None:
    source = _source("", "<mj-navbar>{% if a %}<mj-navbar-link href='x'>x</mj-navbar-link>{% endif %}</mj-navbar>")
    both = written(source)
    assert (both.difference, both.mrml) == ("mj-raw or Jinja stands in <mj-navbar>", "")
    assert "{% if a %}" in compile_mjml(source).html.replace("\n", " ").replace("  ", " ")


def test_our_own_writer_takes_over_where_mrml_panics(monkeypatch: pytest.MonkeyPatch) -> None:
    class Panic(BaseException):
        """As Rust's panics come through, which are no Exceptions."""

    def panics(_text: str, **_options: object) -> str:
        raise Panic

    source = ORDINARY["texts"]
    expected = compile_mjml(source)
    monkeypatch.setattr(mrml, "mjml2html", panics)
    ours = compile_mjml(source)
    assert ours.html != expected.html
    assert canonical(ours.html) == canonical(expected.html)
    assert ours.flow is not None


def test_what_the_head_says_is_the_same() -> None:
    head = (
        "<mj-title>one</mj-title><mj-title>two</mj-title><mj-preview> </mj-preview><mj-breakpoint width='400px' />"
        "<mj-style>.a { color: red }</mj-style><mj-raw><meta name='x'></mj-raw><mj-style>.b { color: red }</mj-style>"
        "<mj-font name='Inter' href='https://fonts.example/a.css?b=1&c=2' />"
    )
    source = _source("", "<mj-text font-family='Inter'>x</mj-text>").replace(
        "<mj-body>", f"<mj-head>{head}</mj-head><mj-body>"
    )
    both = written(source)
    assert both.difference is None
    assert both.alike
    assert both.mrml.count("a.css") == both.ours.count("a.css") == 2
    lower = written(source.replace("name='Inter'", "name='inter'"))
    assert lower.difference == "the font inter is spelled in two ways"
    assert not lower.alike


@pytest.mark.parametrize("detail", OTHERS)
def test_what_mrml_writes_otherwise_is_left_to_our_own_writer(detail: str) -> None:
    source = _source(*OTHERS[detail])
    both = written(source)
    assert detail in str(both.difference)
    assert not both.alike, "MRML has mended this: the line can go"
    assert "".join(compile_mjml(source).html.split()) == "".join(
        both.ours.replace("<![endif]--><!--[if mso | IE]>", "").split()
    )
