"""Previews of unsaved texts: one editor's own, found by their content, few, and gone after half an hour."""

from backend.db.database import Database
from backend.registry import drafts, previews
from backend.registry.drafts import Key
from backend.registry.templates import TemplateContent
from tests.conftest import MovableClock
from tests.portal.people_and_messages import user
from tests.registry.conftest import make_services


def test_a_preview_is_its_editors_own_and_goes_after_a_while(
    each_database: Database, moving_clock: MovableClock
) -> None:
    service, _ = make_services(each_database)
    ada, ben = user(each_database), user(each_database, "ben@lab.example")
    with each_database.transaction() as session:
        text = TemplateContent(name="Welcome", format="text", source="Hello")
        template = drafts.create(session, Key(service, "WELCOME"), text, "ada@lab.example").template_id
    html = "<p>a\x00b\udc80</p>"
    for _ in range(2):
        with each_database.transaction() as session:
            previews.keep(session, ada, template, html)
    with each_database.transaction() as session:
        name = previews.digest(html)
        assert previews.kept(session, ada, template, name) == "<p>a\ufffdb?</p>"
        assert previews.kept(session, ben, template, name) is None
        previews.keep(session, ben, template, "<p>By Ben</p>")
        for number in range(8):
            moving_clock.forward(seconds=1)
            previews.keep(session, ada, template, f"<p>{number}</p>")
        assert previews.kept(session, ada, template, name) is None, "the newest eight stay"
        assert previews.kept(session, ada, template, previews.digest("<p>0</p>")) is not None
        moving_clock.forward(minutes=31)
        previews.keep(session, ada, template, "<p>Later</p>")
        assert previews.kept(session, ben, template, previews.digest("<p>By Ben</p>")) is None
