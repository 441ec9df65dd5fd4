"""The operator's book: every command of it runs, in a throwaway installation of real processes."""

import re
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from tests.handbook import handbook
from tests.handbook.book import Book
from tests.handbook.handbook import FOLDER, NOT_RUN
from tests.storms.installation import Mailbox

PAGES = [page for page in sorted((FOLDER / "operations").glob("*.md")) if handbook.fences(page)]
FIRST = FOLDER / "operations" / "index.md"
# Why some cannot run on a test machine, and how many there are for each reason.
REASONS = {
    "it builds an environment, which tests/deploy/test_wheel.py does": 1,
    "reads the journal, which needs systemd": 1,
}


def changes(page: Path) -> bool:
    """Tell whether a page starts or stops processes, and so needs an installation of its own."""
    return any(fence.manner and not fence.manner.startswith(NOT_RUN) for fence in handbook.fences(page))


@contextmanager
def empty_database(postgres_url: str) -> Iterator[str]:
    """Give the address of an empty database on PostgreSQL."""
    name = f"book_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def book(tmp_path: Path, postgres_url: str) -> Iterator[Book]:
    """Give a machine on which nothing is installed yet, beside a mail server."""
    mailbox = Mailbox(tmp_path / "mailbox")
    with empty_database(postgres_url) as address, mailbox, Book(tmp_path / "machine", mailbox.address, address) as made:
        yield made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Book]:
    """Give an installation that runs, to all pages that leave its processes as they are."""
    folder = tmp_path_factory.mktemp("running")
    mailbox = Mailbox(folder / "mailbox")
    with empty_database(postgres_url) as address, mailbox, Book(folder / "machine", mailbox.address, address) as made:
        made.install()
        yield made


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", [page for page in PAGES if not changes(page)], ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(page: Path, running: Book) -> None:
    running.turn_the_page()
    read(page, running)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "page", [page for page in PAGES if changes(page) and page != FIRST], ids=lambda page: page.stem
)
def test_the_commands_of_a_page_that_starts_or_stops_processes_run(page: Path, book: Book) -> None:
    book.install()
    read(page, book)


def read(page: Path, book: Book) -> None:
    for fence in handbook.fences(page):
        if not fence.manner.startswith(NOT_RUN):
            book.do(fence)


@pytest.mark.timeout(900)
def test_the_first_page_leads_from_nothing_to_an_installation(book: Book) -> None:
    """Its settings are edited where it says so: after they are written, before the processes start."""
    said = ""
    for fence in handbook.fences(FIRST):
        if fence.manner.startswith(NOT_RUN):
            continue
        if fence.manner == "background":
            book.set_up()
            book.run("set -a; . /etc/carillon/carillon.env; set +a\n")
        said += book.do(fence)
    assert {"/healthz", "client_secret", "team"} <= set(re.findall(r"/?\w+", said))


def test_what_does_not_run_says_why_and_is_counted() -> None:
    reasons = Counter(
        fence.manner.removeprefix(NOT_RUN)
        for page in PAGES
        for fence in handbook.fences(page)
        if fence.manner.startswith(NOT_RUN)
    )
    assert reasons == REASONS
    run = sum(len(handbook.fences(page)) for page in PAGES) - reasons.total()
    assert run >= 25


def test_no_command_hides_in_lines_of_another_kind() -> None:
    for page in sorted((FOLDER / "operations").glob("*.md")):
        for language in ("", "bash", "shell", "console"):
            for fence in handbook.fences(page, language):
                assert not fence.text.startswith("carillon"), f"{fence.page}:{fence.line}"
