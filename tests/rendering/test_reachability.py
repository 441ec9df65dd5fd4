"""Links and images that readers do not get to are warned of, each with its line."""

import time
from pathlib import Path
from typing import Any

import pytest

from backend.lib import link_rules
from backend.lib.link_rules import HostRule, LinkRules, Unsubscribe, UnusableRules
from backend.rendering.model import Format, Source
from backend.rendering.reachability import Policy, unreachable

RULES = LinkRules(
    hosts=(
        HostRule("inside.example", "everybody is inside", allow=True),
        HostRule("bit.ly", "the filter takes it out"),
    )
)
PRODUCTION, TRYING = Policy(True, RULES), Policy(False, RULES)


def found(
    source: str, form: Format = "html", fields: Any = None, policy: Policy = PRODUCTION
) -> list[tuple[int | None, str]]:
    return [(one.line, one.code) for one in unreachable(Source(form, source), fields, policy)]


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("https://www.example.org/x?y=1#z", None),
        ("https://{{ host }}/x", None),
        ("https://example.org/{{ id }}", None),
        ("mailto:a@b.example", None),
        ("#top", None),
        ("http://localhost:8000/x", "private_host"),
        ("https://10.1.2.3/", "private_host"),
        ("https://[::1]/", "private_host"),
        ("https://wiki/page", "private_host"),
        ("https://a.b.internal/", "private_host"),
        ("http://www.example.org/", "plain_http"),
        ("http://x.inside.example/", None),
        ("https://BIT.ly/abc", "forbidden_host"),
        ("www.example.org", "link_without_scheme"),
        ("/orders/{{ id }}", "link_without_scheme"),
        ("", "link_without_scheme"),
        ("{{ host }}/x", "link_without_scheme"),
        ("{{ order_url }}", None),
        ('{{ order["a b"] }}', None),
        ("{% if a %}https://example.org{% endif %}", None),
    ],
)
def test_a_link_is_validated_by_its_address(address: str, code: str | None) -> None:
    wanted = [(2, code)] if code else []
    assert found(f"<p>\n<a class='x' href=\"{address}\">Here</a></p>") == wanted
    assert found(f"\n<mj-button href='{address}'>Here</mj-button>", "mjml") == wanted


def test_sample_fields_say_what_a_link_begins_with() -> None:
    link = '<a href="{{ order.where | e }}/x">Here</a>'
    assert found(link, fields={"order": {"where": "https://example.org"}}) == []
    assert found(link, fields={"order": {"where": "example.org"}}) == [(1, "link_without_scheme")]
    assert found(link, fields={"order": {"where": "http://localhost"}}) == [(1, "private_host")]


def test_outside_of_production_what_is_private_is_no_fault() -> None:
    assert found('<a href="http://localhost/x">Here</a>', policy=TRYING) == []
    assert found('<a href="https://bit.ly/x">Here</a>', policy=TRYING) == [(1, "forbidden_host")]


def test_a_link_says_where_it_leads() -> None:
    assert found('<a href="https://evil.example/">https://www.bank.example/login</a>') == [(1, "misleading_link")]
    assert found('<a href="https://www.bank.example/x">bank.example</a>') == []
    assert found('<a href="https://bank.example/x">Go to bank.example now</a>') == []
    assert found("[bank.example](https://evil.example)", "markdown") == [(1, "misleading_link")]


def test_markdown_and_text_are_validated_too() -> None:
    assert found("a\n![x](pic.png) [b](/c)\nhttp://localhost/", "markdown") == [
        (2, "missing_image"),
        (2, "link_without_scheme"),
        (3, "private_host"),
    ]
    assert found("a\nsee http://localhost/x, https://bit.ly/a", "text") == [(2, "private_host"), (2, "forbidden_host")]


@pytest.mark.parametrize(
    ("image", "code"),
    [
        ('<img alt="" src="https://example.org/a.png">', None),
        ('<img alt="" src="cid:plot.png">', None),
        ('<img alt="" src="{{ picture }}">', "link_without_scheme"),
        ('<img alt="" src="{{ picture_url }}">', None),
        ('<img alt="">', "missing_image"),
        ('<mj-image src="" />', "missing_image"),
        ('<img alt="" src="images/a.png">', "missing_image"),
        ('<img alt="" src="file:///C:/a.png">', "missing_image"),
        ('<img alt="" src="data:image/png;base64,AAAA">', "inline_image"),
        ('<img alt="" src="http://localhost/a.png">', "private_host"),
    ],
)
def test_an_image_must_be_there(image: str, code: str | None) -> None:
    assert found(f"\n{image}") == ([(2, code)] if code else [])


def test_where_it_is_required_readers_can_unsubscribe() -> None:
    policy = Policy(False, LinkRules(unsubscribe=Unsubscribe("it is the law")))
    assert found("<p>News</p>", policy=policy) == [(None, "no_unsubscribe")]
    assert found("<a href='https://a.example/leave'>Unsubscribe</a>", policy=policy) == []
    assert found("News", "text", policy=policy) == []


@pytest.mark.parametrize("piece", ["<a href='", '<a "" ', "[a](", "{{ a }}", "href=' ", "<img ", "[", "https://a "])
def test_no_source_takes_long(piece: str) -> None:
    began = time.process_time()
    found(piece * (250_000 // len(piece)))
    found(piece * (250_000 // len(piece)), "markdown")
    assert time.process_time() - began < 5


def test_rules_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('[[hosts]]\nhost = "bit.ly"\nreason = "r"\n[unsubscribe]\nreason = "s"\n')
    rules = link_rules.read(str(path))
    assert (rules.of("x.bit.ly"), rules.of("xbit.ly")) == (HostRule("bit.ly", "r"), None)
    assert rules.unsubscribe == Unsubscribe("s")
    for text in ("[[hosts]]\nhost = 1\n", "[", '[[hosts]]\nhost = "Bit ly"\nreason = "r"\n', "other = 1\n"):
        path.write_text(text)
        with pytest.raises(UnusableRules, match="names the file"):
            link_rules.read(str(path))
    with pytest.raises(UnusableRules, match="cannot be read"):
        link_rules.read(str(tmp_path / "missing"))
