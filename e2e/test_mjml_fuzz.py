"""Random MJML looks as the reference compiler draws it, in browsers and in Outlook; more of it by make fuzz-mjml."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from backend.rendering.mjml.attributes import ATTRIBUTES as KNOWN
from e2e.mjml_documents import ATTRIBUTES, KINDS, documents
from e2e.mjml_fuzz import Compared, compared, compiled, table
from e2e.mjml_pictures import Camera

SEED = 1
# What would need a network.
_OTHERS = frozenset({"srcset", "sizes", "usemap"})
COUNT = 400


@pytest.fixture(scope="module")
def camera(chromium: Browser) -> Iterator[Camera]:
    camera = Camera(chromium)
    yield camera
    camera.close()


def test_random_documents_look_alike_to_every_reader(camera: Camera) -> None:
    results = list(compared(list(documents(COUNT, SEED)), camera))
    print(table(results))
    assert [one.document.number for one in results if one.differs] == []
    assert len(results) == COUNT


def test_the_documents_hold_every_component_with_every_attribute() -> None:
    sources = [one.source for one in documents(COUNT, SEED)]
    assert {one.kind for one in documents(COUNT, SEED)} == set(KINDS)
    for component, known in ATTRIBUTES.items():
        names = {pair.split("=")[0] for pair in known.split()}
        there = " ".join(re.findall(rf"<{component}( [^>]*)>", " ".join(sources)))
        assert {name for name in names if f' {name}="' not in there} == set(), component
        assert KNOWN[component] - names - _OTHERS == set(), component


@pytest.mark.parametrize(
    ("before", "after", "view"),
    [
        ("padding:20px 0;", "padding:40px 0;", "browsers"),
        ("<!--[if mso | IE]>", "<!--[if mso | IE]><p style='font-size:60px'>more of it</p>", "outlook"),
    ],
)
def test_a_difference_is_seen_by_whom_it_concerns(before: str, after: str, view: str, camera: Camera) -> None:
    def otherwise(source: str) -> str:
        html = compiled(source)
        assert before in html
        return html.replace(before, after)

    found: list[Compared] = list(compared(list(documents(1, SEED, 2)), camera, otherwise))
    assert [one.differs for one in found] == [True]
    assert found[0].shares[view] > 0
    assert (found[0].shares["browsers"] > 0) == (view == "browsers")
