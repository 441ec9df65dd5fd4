"""MJML that Carillon compiles looks as it does when the reference compiler compiles it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from backend.rendering.engine import render
from backend.rendering.model import RenderJob, Source
from backend.rendering.starters import starters
from e2e.mjml_pictures import Camera, difference
from e2e.mjml_reference import compile_all, without_jinja
from tests.rendering import test_mjml_branches as branches

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests" / "fixtures" / "rendering"
PICTURES = ROOT / ".cache" / "mjml-fidelity"
WIDTHS = (700, 360)
MOST_DIFFERENT = 0.005


def _samples(count: int) -> list[dict[str, object]]:
    return [
        {
            "sample-id": f"WTX-{4400 + number}",
            "plate": "P-7 <south>",
            "attributes": [
                {"key": f"Attribute {(number + step) % 7}", "value": f'wrong & "odd" {number}.{step}'}
                for step in range(1 + number % 3)
            ],
        }
        for number in range(count)
    ]


def _jobs() -> dict[str, RenderJob]:
    report = Source("mjml", (FIXTURES / "sample_report.mjml").read_text(encoding="utf-8"))
    jobs = {f"report-{count}": RenderJob("report", report, _samples(count), batch=True) for count in (3, 12)}
    for starter in starters():
        if starter.format == "mjml":
            source = Source("mjml", starter.source)
            jobs[starter.identifier] = RenderJob(starter.identifier, source, starter.sample_fields, starter.batch)
            if starter.batch:
                jobs[f"{starter.identifier}-12"] = RenderJob(starter.identifier, source, _samples(12), batch=True)
    for path in sorted((FIXTURES / "mjml").glob("*.mjml")):
        jobs[path.stem] = RenderJob(path.stem, Source("mjml", path.read_text(encoding="utf-8")), {})
    for count, tags, wide in ((0, 0, True), (1, 1, False), (3, 2, True)):
        fields = branches.fields(count, tags, wide=wide)
        jobs[f"jinja-{count}-{tags}"] = RenderJob("jinja", branches.SOURCE, fields)
    return jobs


JOBS = _jobs()


@pytest.fixture(scope="module")
def reference() -> dict[str, str]:
    """Compile every message by the npm package mjml."""
    return compile_all({name: without_jinja(job) for name, job in JOBS.items()})


@pytest.fixture(scope="module")
def camera(chromium: Browser) -> Iterator[Camera]:
    camera = Camera(chromium)
    yield camera
    camera.close()


@pytest.mark.parametrize("name", JOBS)
def test_looks_as_the_reference_compiler_draws_it(name: str, camera: Camera, reference: dict[str, str]) -> None:
    html = render(JOBS[name]).html
    assert html is not None
    for width in WIDTHS:
        ours, theirs = camera.picture(html, width), camera.picture(reference[name], width)
        share = difference(ours, theirs)
        print(f"{name} at {width} px: {share:.3%}")
        if share > MOST_DIFFERENT:
            PICTURES.mkdir(parents=True, exist_ok=True)
            ours.save(PICTURES / f"{name}-{width}-ours.png")
            theirs.save(PICTURES / f"{name}-{width}-reference.png")
        assert share <= MOST_DIFFERENT, f"{name} at {width} px: see {PICTURES}"


def test_a_difference_is_seen(camera: Camera, reference: dict[str, str]) -> None:
    """The comparison itself: a heading of another colour is more than the tolerance."""
    original = reference["report-3"]
    changed = original.replace("#23424f", "#424f23")
    assert changed != original
    pictures = [camera.picture(html, 700) for html in (original, changed)]
    assert difference(*pictures) > MOST_DIFFERENT
    assert difference(pictures[0], pictures[0]) == 0
