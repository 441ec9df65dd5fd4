"""The handbook is whole: every link leads somewhere, every path exists, and files and pages are the same."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from backend.api import handbook_pages
from backend.db.database import Database
from tests.application import application
from tests.handbook import handbook
from tests.handbook.handbook import FOLDER, ROOT

_PATH = re.compile(r"(?:backend|tests|e2e|static|portal_templates|notification_templates|\.github|\.ci)/[\w./-]+")
_PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
_ADDRESS = re.compile(r'(?:href|src)="([^"]*)"')
DECISIONS = sorted((FOLDER / "decisions").glob("[0-9]*.md"))


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def client(database: Database) -> Iterator[TestClient[Litestar]]:
    with TestClient(application()) as opened:
        yield opened


def test_every_path_that_is_named_exists() -> None:
    missing, found = [], 0
    for page in handbook.pages():
        for code in handbook.codes(page):
            if _PATH.fullmatch(code):
                found += 1
                if not (ROOT / code).exists():
                    missing.append(f"{named(page)}: {code}")
    assert missing == []
    assert found > 100


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    wrong = []
    for page in handbook.pages():
        for target in handbook.targets(page):
            path, _, anchor = target.partition("#")
            if re.match(r"https?:", target):
                continue
            file = (page.parent / path).resolve() if path else page
            if not file.exists() or (anchor and anchor not in handbook.anchors(file)):
                wrong.append(f"{named(page)}: {target}")
    assert wrong == []


def test_every_page_is_found_from_the_contents() -> None:
    listed = {entry.name for chapter in handbook_pages.contents() for entry in chapter.entries}
    decisions = {f"decisions/{page.stem}" for page in DECISIONS}
    assert listed | decisions | {""} == handbook_pages.names().keys()
    assert {Path(target).stem for target in handbook.targets(FOLDER / "decisions" / "index.md")} >= {
        page.stem for page in DECISIONS
    }


def test_every_page_has_one_title_and_no_anchor_twice() -> None:
    for name in handbook_pages.names():
        page = handbook_pages.read(name)
        assert page.html.count("<h1") == 1, name
        anchors = re.findall(r' id="([^"]+)"', page.html)
        assert len(anchors) == len(set(anchors)), name


def test_decisions_are_short_and_say_what_they_cost() -> None:
    assert len(DECISIONS) >= 12
    for page in DECISIONS:
        text = page.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 40, named(page)
        for part in ("**Question.**", "**Decided.**", "**Why.**", "**Costs.**", "**Where.**"):
            assert part in text, named(page)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_pictures_of_the_packages_show_all_of_them() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = [name.strip() for layer in contracts[0]["layers"] for name in layer.split("|")]
    drawn = re.findall(r'class="title"[^>]*>([^<]+)<', (FOLDER / "images" / "packages.svg").read_text(encoding="utf-8"))
    assert set(drawn) == set(layers) - {"deploy"}
    told = " ".join(handbook.codes(FOLDER / "architecture.md"))
    assert [name for name in layers if f"backend/{name}" not in told] == []


def test_the_product_shows_every_page_and_every_link_of_it_leads_somewhere(client: TestClient[Litestar]) -> None:
    texts = {}
    for name in handbook_pages.names():
        address = f"/docs/guide/{name}".rstrip("/")
        answer = client.get(address, headers=_PAGE)
        assert answer.status_code == 200, name
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        texts[address] = answer.text
    seen: dict[str, int] = {}
    for address, text in texts.items():
        assert "<a>" not in text, f"{address} has a link that leads out of the handbook"
        for target in _ADDRESS.findall(text):
            path, _, anchor = target.partition("#")
            if target.startswith("https://"):
                continue
            if anchor and (path or address) in texts:
                assert f'id="{anchor}"' in texts[path or address], f"{address}: {target}"
            if path and path not in texts:
                seen.setdefault(path, client.get(path, headers=_PAGE).status_code)
    assert {path: status for path, status in seen.items() if status != 200} == {}
    assert any(path.endswith(".svg") for path in seen)


def test_what_the_handbook_has_not_is_not_found(client: TestClient[Litestar]) -> None:
    for path in ("nothing", "index.md", "../handbook.py", "%2e%2e/app.py", "operations/../../app.py"):
        assert client.get(f"/docs/guide/{path}", headers=_PAGE).status_code == 404, path


def test_files_have_their_own_kinds(client: TestClient[Litestar]) -> None:
    for name, kind in (
        ("operations/rules.yml", "application/yaml"),
        ("operations/dashboard.json", "application/json"),
        ("images/context.svg", "image/svg+xml"),
    ):
        answer = client.get(f"/docs/guide/{name}")
        assert answer.headers["content-type"].startswith(kind)
        assert answer.content == (FOLDER / name).read_bytes()
    assert "style-src 'unsafe-inline'" in answer.headers["content-security-policy"]


def test_markdown_in_a_page_is_never_html_of_its_own() -> None:
    assert "<script" not in "".join(handbook_pages.read(name).html for name in handbook_pages.names())
