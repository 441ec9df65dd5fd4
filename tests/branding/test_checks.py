"""What a brand may be made of: colours that can be read, pictures that are shown, links that lead somewhere."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.branding import colours, footers, pictures, senders
from backend.lib import settings
from backend.lib.problems import Problem
from backend.rendering.model import DARK, Colours, FooterLink
from tests.branding.examples import PLUM, picture

HEX = st.from_regex(r"\A#[0-9a-f]{6}\Z")
# By what it says of its height and width; nobody draws 400 million pixels to find out.
HUGE = picture(480, 120, "JPEG").replace(b"\0\x78\x01\xe0", (20_000).to_bytes(2) * 2)


def refusal(check: Callable[[], object]) -> str:
    with pytest.raises(Problem) as caught:
        check()
    assert caught.value.code == "invalid_value"
    return caught.value.detail


def faults(ink: Colours) -> dict[str, str]:
    return {one.field: one.sentence for one in reversed(colours.pairs(ink)) if one.sentence}


# Of WCAG's own examples and their published ratios.
@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#767676", "#ffffff", 4.54),
        ("#123456", "#123456", 1),
    ],
)
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    assert colours.contrast(one, other) == pytest.approx(ratio, abs=0.005)
    assert colours.contrast(other, one) == colours.contrast(one, other)


def test_a_colour_is_read_as_people_write_it() -> None:
    assert [colours.read("link", one) for one in ("#0B5F73", "0b5f73", " #abc ")] == ["#0b5f73", "#0b5f73", "#aabbcc"]
    for wrong in ("", "teal", "#12345", "#0b5f73;}", "url(x)"):
        assert refusal(lambda wrong=wrong: colours.read("link", wrong)).startswith("Links: write a colour")


def test_the_default_and_an_example_can_be_read() -> None:
    assert faults(Colours()) == faults(PLUM) == {}


def test_what_cannot_be_read_is_named_with_what_would_pass() -> None:
    said = faults(Colours(on_primary="#88aabb"))["on_primary"]
    assert said.startswith("Text on the main colour (#88aabb on #1f4e5f) has a contrast of 3.6:1")
    assert "4.5:1 is needed" in said
    mended = said.split()[-3]
    assert faults(Colours(on_primary=mended)) == {}
    assert "Links on white (#66bbcc on #ffffff)" in faults(Colours(link="#66bbcc"))["link"]
    assert faults(Colours(link=faults(Colours(link="#66bbcc"))["link"].split()[-3])) == {}


def test_a_dark_background_is_what_has_to_change() -> None:
    said = faults(Colours(background="#10202c"))
    assert set(said) == {"background"}
    lighter = re.findall("#[0-9a-f]{6}", said["background"])[-1]
    assert faults(Colours(background=lighter)) == {}


@given(HEX, HEX, HEX, HEX, HEX)
def test_whatever_is_chosen_there_is_a_way_out(one: str, two: str, three: str, four: str, five: str) -> None:
    ink = Colours(one, two, three, four, five)
    for pair in colours.pairs(ink):
        assert pair.passes is (colours.contrast(pair.front, pair.back) >= colours.CONTRAST)
    assert colours.contrast(colours.with_dark(ink).link_dark, DARK) >= colours.CONTRAST


def test_a_picture_is_known_by_what_it_is() -> None:
    found = pictures.read(picture(480, 120))
    assert (found.type, found.width, found.height) == ("image/png", 480, 120)
    assert pictures.read(picture(form="JPEG")).type == "image/jpeg"
    assert pictures.name(found.digest, found.type) == f"brand-{found.digest}.png"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "Gmail and Outlook show no SVG."),
        (picture(form="GIF"), "This is no PNG or JPEG"),
        (picture(form="WEBP"), "This is no PNG or JPEG"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "This is no PNG or JPEG"),
        (picture()[:-30], "This is no PNG or JPEG"),
        (b"", "This is no PNG or JPEG"),
        (b"\0" * (pictures.MAX_BYTES + 1), "The file has more than 100 KiB"),
        (picture(1601, 40), "The picture has 1601 × 40 pixels; 1600 × 800 are the most."),
        (picture(40, 801), "The picture has 40 × 801 pixels"),
        (picture(480, 15), "too few to be seen"),
        (HUGE, "far too many pixels; 1600 × 800 are the most."),
    ],
)
def test_a_picture_that_cannot_be_a_logo_is_refused_with_a_sentence(content: bytes, said: str) -> None:
    assert said in refusal(lambda: pictures.read(content))


@pytest.mark.parametrize(
    ("own", "shown"), [((480, 120), (240, 60)), ((100, 40), (100, 40)), ((1600, 16), (240, 2)), ((64, 800), (5, 64))]
)
def test_a_logo_is_shown_in_its_proportions(own: tuple[int, int], shown: tuple[int, int]) -> None:
    assert pictures.shown(*own) == shown


def test_a_footer_is_read_as_it_is_written() -> None:
    links = [
        ("Imprint", "https://aurora.example/i"),
        ("", ""),
        (" Write ", "desk@aurora.example"),
        ("Call", "tel:+441223"),
    ]
    read = footers.read("Aurora  Institute\n\n  1 Way ", links)
    assert read.lines == ("Aurora Institute", "1 Way")
    assert read.links == (
        FooterLink("Imprint", "https://aurora.example/i"),
        FooterLink("Write", "mailto:desk@aurora.example"),
        FooterLink("Call", "tel:+441223"),
    )
    assert read.text.splitlines()[2:4] == ["Imprint: https://aurora.example/i", "Write: mailto:desk@aurora.example"]


@pytest.mark.parametrize(
    "address",
    ["imprint", "//aurora.example", "javascript:alert(1)", "data:text/html,x", "https://", "https://a b.example",
     "tel:", "a@b", "https://u:p@a.example/", 'https://aurora.example/"onclick="x', "https://a.example/" + "x" * 500],
)  # fmt: skip
def test_a_link_that_leads_nowhere_is_refused(address: str) -> None:
    with pytest.raises(Problem) as caught:
        footers.read("", [("Privacy", "https://aurora.example/p"), ("Imprint", address)])
    assert [one.pointer for one in caught.value.errors] == ["/links/1/address"]


def test_every_fault_of_a_footer_is_told_at_its_place() -> None:
    with pytest.raises(Problem) as caught:
        footers.read("\n".join("1234567"), [("", "https://aurora.example/i"), ("Privacy", "")])
    assert [one.pointer for one in caught.value.errors] == ["/lines", "/links/0/text", "/links/1/address"]


def test_in_production_a_link_is_one_that_readers_reach(configure: Callable[..., settings.Settings]) -> None:
    configure(ENV="production", BASE_URL="https://carillon.lab.example", MAIL_FROM="a@lab.example")
    assert "is not reached from outside" in refusal(lambda: footers.checked_address("https://localhost/imprint"))
    assert "is not encrypted" in refusal(lambda: footers.checked_address("http://aurora.example/imprint"))


def test_a_name_stands_before_an_address_that_has_none() -> None:
    fallback = "Carillon <carillon@lab.example>"
    assert senders.named(None, fallback, "") == fallback
    assert senders.named("lims@lab.example", fallback, "") == "lims@lab.example"
    assert senders.named(None, fallback, "Aurora, Ltd.") == '"Aurora, Ltd." <carillon@lab.example>'
    assert senders.named("lims@lab.example", fallback, "Aurora") == "Aurora <lims@lab.example>"
    assert senders.named("LIMS <lims@lab.example>", fallback, "Aurora") == "LIMS <lims@lab.example>"
    for wrong in ("", "x" * 81, "boss@lab.example", 'A "B"', "A\u202eB"):
        assert "sender’s name has 1 to 80" in refusal(lambda wrong=wrong: senders.checked(wrong))
