"""A report on samples, few or many, looks as it does when the reference compiler compiles it."""

import re
from collections.abc import Iterator, Mapping
from itertools import product

import pytest
from playwright.sync_api import Browser

from backend.rendering.engine import render
from backend.rendering.model import RenderJob, Source
from e2e.mjml_pictures import Camera, difference
from e2e.mjml_reference import compile_all, without_jinja
from e2e.test_mjml_fidelity import FIXTURES, WIDTHS

REPORT = (FIXTURES / "accessioning_report.mjml").read_text(encoding="utf-8")
COUNTS = (1, 3, 9, 10, 12, 150)
MOST_DIFFERENT = 0.001
CASES = [(count, has, width) for count, has, width in product(COUNTS, (True, False), WIDTHS)]


def _samples(count: int, *, with_attributes: bool) -> list[dict[str, object]]:
    return [
        {
            "sample-id": f"WTX-{4400 + 37 * number}",
            "manifest-id": "M-2026-7",
            "attributes": [
                {"key": f"Attribute {(number + step) % 7}", "value": f'wrong & "odd" {number}.{step}'}
                for step in range(1 + number % 3 if with_attributes else 0)
            ],
        }
        for number in range(count)
    ]


def _job(count: int, *, with_attributes: bool, batch: bool) -> RenderJob:
    """Return a report on a batch, or on the samples that one notification names."""
    samples = _samples(count, with_attributes=with_attributes)
    source = REPORT if batch else re.sub(r"\bfields\b", "fields.samples", REPORT)
    return RenderJob("", Source("mjml", source), samples if batch else {"samples": samples}, batch)


@pytest.fixture(scope="module")
def reference() -> Mapping[str, str]:
    """Compile every report by the npm package mjml."""
    jobs = {
        f"{count} {has} {batch}": _job(count, with_attributes=has, batch=batch)
        for count, has, batch in product(COUNTS, (True, False), (True, False))
    }
    return compile_all({name: without_jinja(job) for name, job in jobs.items()})


@pytest.fixture(scope="module")
def camera(chromium: Browser) -> Iterator[Camera]:
    camera = Camera(chromium)
    yield camera
    camera.close()


@pytest.mark.parametrize(("count", "has", "width"), CASES)
def test_a_report_looks_as_the_reference_compiler_draws_it(
    count: int, has: bool, width: int, camera: Camera, reference: Mapping[str, str]
) -> None:
    written = [render(_job(count, with_attributes=has, batch=batch)).html for batch in (True, False)]
    expected = [reference[f"{count} {has} {batch}"] for batch in (True, False)]
    # What is the same HTML needs one picture.
    assert written[0] == written[1]
    assert expected[0] == expected[1]
    share = difference(camera.picture(str(written[0]), width), camera.picture(expected[0], width))
    print(f"{count} samples, attributes: {has}, {width} px: {share:.3%}")
    assert share <= MOST_DIFFERENT
