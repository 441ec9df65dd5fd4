"""Links to files in mails of every kind of template: where it puts them, and else at the end."""

from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from backend.db.database import Database
from tests.application import application
from tests.attachments import PDF
from tests.delivery.conftest import Post
from tests.delivery.linked_mail import LINK, fetched, linked, part


@pytest.fixture
def any_engine(database: Database) -> Database:
    """Give SQLite alone: no database tells templates apart."""
    return database


@pytest.fixture
def reader(post: Post) -> Iterator[TestClient[Litestar]]:
    """Give the browser of whoever reads the mail."""
    with TestClient(application()) as http:
        yield http


PLACED = {
    "mjml": (
        '<mjml><mj-body><mj-section><mj-column><mj-button href="{{ files["results.pdf"] }}">Results</mj-button>'
        "</mj-column></mj-section></mj-body></mjml>"
    ),
    "html": '<html><body><p><a href="{{ files["results.pdf"] }}">Results</a></p></body></html>',
    "markdown": '# Results\n\n[Your results]({{ files["results.pdf"] }})\n',
    "text": 'Results: {{ files["results.pdf"] }}',
}
PLAIN = {
    "mjml": "<mjml><mj-body><mj-section><mj-column><mj-text>Hello</mj-text></mj-column></mj-section></mj-body></mjml>",
    "html": "<html><body><p>Hello</p></body></html>",
    "markdown": "# Hello\n",
    "text": "Hello",
}


@pytest.mark.parametrize("kind", [*PLACED])
@pytest.mark.parametrize("sources", [PLACED, PLAIN], ids=["placed", "listed"])
def test_the_link_in_the_mail_leads_to_the_file(
    post: Post, reader: TestClient[Litestar], kind: str, sources: dict[str, str]
) -> None:
    post.lab.template("X_RESULTS", sources[kind], format=kind)
    post.accept(template_id="X_RESULTS", attachments=[linked()], priority="HIGH" if kind == "html" else "NORMAL")
    assert post.send() == 1
    (received,) = post.server.wait_for(1)
    mail = received.parsed
    assert list(mail.iter_attachments()) == []
    bodies = [part(mail, "plain")] + ([part(mail, "html")] if kind != "text" else [])
    found = [set(LINK.findall(body)) for body in bodies]
    assert all(len(one) == 1 for one in found), bodies
    (path,) = set.union(*found)
    for body in bodies:
        assert ("results.pdf (" in body or ">results.pdf</a>" in body) is (sources is PLAIN)
    assert fetched(reader, path, "lab@lab.example") == PDF
