"""The brand from the database to the mailbox: the logo beside the HTML, the footer in both parts, the name in From."""

import re
from base64 import b64encode
from email.message import EmailMessage
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.branding import logos, pictures
from backend.branding.brands import Owner
from backend.db.models.accounts import Service
from backend.db.models.notifications import OutboxMessage
from backend.delivery.providers import routes
from backend.lib import settings
from backend.reports import messages
from tests.attachments import PDF, attachment
from tests.branding.examples import FOOTER, PLUM, give, organisation, picture
from tests.delivery.conftest import Post

MARKDOWN = "**Sample {{ sample_id }}** [failed](https://lims.example/)"
BASE = '{% extends "base.html" %}{% block content %}<p>{{ sample_id }}</p>{% endblock %}'


@pytest.fixture
def branded(post: Post) -> Post:
    """Give a service whose organisation has a brand."""
    institute = organisation(post.lab.database, post.lab.service_id)
    give(post.lab.database, institute, picture(), colours=PLUM, footer=FOOTER, sender_name="Aurora, samples")
    post.lab.template("X_NOTE", MARKDOWN, format="markdown", subject="A note")
    return post


def arrived(post: Post, number: int = 1) -> EmailMessage:
    while post.send():
        pass
    mail = post.server.wait_for(number)[-1].parsed
    assert not any(part.defects for part in mail.walk())
    return mail


def body(mail: EmailMessage, kind: str) -> str:
    found = mail.get_body((kind,))
    assert found is not None
    return str(found.get_content())


def images(mail: EmailMessage) -> dict[str, bytes]:
    return {str(one["Content-ID"]): one.get_payload(decode=True) for one in mail.walk() if one["Content-ID"]}


@pytest.mark.parametrize(
    "template", [{"format": "markdown"}, {"format": "text"}, {"source": BASE}, {"starter": "mjml"}]
)
def test_a_mail_carries_logo_colours_footer_and_name(branded: Post, template: dict[str, str]) -> None:
    source = template.get("source", MARKDOWN)
    if "starter" in template:
        source = (
            '<mjml><mj-head><mj-include path="brand.mjml" /></mj-head><mj-body mj-class="brand-page"><mj-wrapper>'
            '<mj-include path="logo.mjml" /><mj-section mj-class="brand-band"><mj-column><mj-text>{{ sample_id }}'
            '</mj-text></mj-column></mj-section><mj-include path="footer.mjml" /></mj-wrapper></mj-body></mjml>'
        )
    form = template.get("format") or template.get("starter") or "html"
    branded.lab.template("X_NOTE", source, format=form, subject="A note")
    branded.accept(template_id="X_NOTE", subject=...)
    mail = arrived(branded)
    assert str(mail["From"]) == '"Aurora, samples" <noreply@lab.example>'
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
    ]
    html, text = body(mail, "html"), body(mail, "plain")
    (shown,) = re.findall(r'<img[^>]*src="cid:([^"]+)"[^>]*alt="The Aurora Institute"[^>]*width="240"', html)
    assert images(mail) == {f"<{shown}>": picture()}
    assert "#7a1f5c" in html
    assert '<a href="https://aurora.example/imprint"' in html
    assert "Aurora Institute, 1 Way" in text
    assert "https://aurora.example/privacy" in text


def test_files_of_the_notification_go_beside_the_logo(branded: Post) -> None:
    branded.accept(template_id="X_NOTE", subject=..., attachments=[attachment("report.pdf")])
    mail = arrived(branded)
    assert mail.get_content_type() == "multipart/mixed"
    assert {one.get_filename(): one.get_payload(decode=True) for one in mail.iter_attachments()} == {"report.pdf": PDF}
    assert list(images(mail).values()) == [picture()]


def test_a_mail_in_text_alone_has_the_footer_and_no_picture(branded: Post) -> None:
    branded.accept(template_id="X_NOTE", subject=..., content_type="text")
    mail = arrived(branded)
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().replace("\r\n", "\n").endswith(f"\n\n-- \n{FOOTER.text}\n")


def test_what_a_field_is_called_changes_nothing_of_the_layout(branded: Post) -> None:
    branded.lab.template("X_NOTE", "{{ brand }} {{ sample_id }}", format="markdown", subject="A note")
    branded.accept(template_id="X_NOTE", subject=..., fields={"brand": "Illumina", "sample_id": "S-1"})
    mail = arrived(branded)
    assert "Illumina S-1" in body(mail, "plain")
    assert list(images(mail).values()) == [picture()]


def test_a_service_that_named_its_sender_itself_keeps_the_name(branded: Post) -> None:
    with branded.lab.database.transaction() as session:
        session.get_one(Service, branded.lab.service_id).mail_from = "Sample desk <desk@lab.example>"
    branded.accept()
    assert str(arrived(branded)["From"]) == "Sample desk <desk@lab.example>"


def test_a_mail_that_is_tried_again_has_the_brand_of_that_moment(branded: Post) -> None:
    branded.server.script.greylist = {"lab@lab.example": 1}
    branded.accept(template_id="X_NOTE", subject=...)
    branded.send()
    later = picture(colour="#123456")
    give(branded.lab.database, Owner("Laboratory", service_id=branded.lab.service_id), later, sender_name="Desk")
    branded.clock.forward(hours=1)
    mail = arrived(branded)
    assert str(mail["From"]) == "Desk <noreply@lab.example>"
    assert images(mail) == {f"<brand-{pictures.read(later).digest}.png>": later}


def test_without_a_brand_a_mail_is_as_it_was(post: Post) -> None:
    post.lab.template("X_NOTE", MARKDOWN, format="markdown", subject="A note")
    post.accept(template_id="X_NOTE", subject=...)
    mail = arrived(post)
    assert str(mail["From"]) == "Laboratory <noreply@lab.example>"
    assert mail.get_content_type() == "multipart/alternative"
    assert body(mail, "plain").strip() == "Sample S-1 failed (https://lims.example/)"
    assert "cid:" not in body(mail, "html")


def test_a_ticket_has_the_words_of_the_logo_and_a_letter_the_logo_itself(
    branded: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CARILLON_EMAIL_PROVIDERS")
    settings.current.cache_clear()
    routes.routes.cache_clear()
    branded.lab.recipient("X_DESK", ("FRESHSERVICE", "desk@lab.example"))
    branded.lab.template("X_NOTE", BASE, subject="A note")
    branded.accept(template_id="X_NOTE", subject=..., type="FRESHSERVICE", recipient=["X_DESK"])
    branded.send()
    with branded.lab.database.read() as session:
        message = session.scalars(select(OutboxMessage)).one()
    assert message.html is not None
    assert "cid:" not in message.html
    assert "The Aurora Institute</td>" in message.html
    digest = pictures.read(picture()).digest
    shown = logos.fitted("LETTER", f'<img src="cid:brand-{digest}.png" alt="Aurora">')
    assert shown == f'<img src="data:image/png;base64,{b64encode(picture()).decode()}" alt="Aurora">'


def test_the_portal_shows_the_message_with_its_logo(branded: Post) -> None:
    notification_id = branded.accept(template_id="X_NOTE", subject=...)
    arrived(branded)
    (delivery,) = branded.deliveries(notification_id)
    with branded.lab.database.read() as session:
        shown = messages.of_delivery(session, branded.lab.service_id, UUID(delivery.id))
    assert shown is not None
    assert shown.html is not None
    assert "cid:" not in shown.html
    assert 'src="data:image/png;base64,' in shown.html
    assert FOOTER.text in shown.text
