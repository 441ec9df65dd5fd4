"""Brands as they are kept: a service's own parts, its organisation's, the default; logos that nobody has any more."""

from datetime import timedelta

from sqlalchemy import select

from backend.branding import brands, logos, pictures
from backend.branding.brands import LogoPart, Owner
from backend.db.database import Database
from backend.db.models.accounts import Service
from backend.db.models.audit import AuditEntry
from backend.db.models.brands import BrandLogo
from backend.erasure import remains
from backend.erasure.person import Person
from backend.intake import content, explain
from backend.publishing import sources
from backend.rendering.model import NEUTRAL, Colours, Footer
from tests.branding.examples import FOOTER, PLUM, give, organisation, picture
from tests.conftest import MovableClock
from tests.factories import Laboratory, laboratory, notification


def own(lab: Laboratory) -> Owner:
    return Owner("Laboratory", service_id=lab.service_id)


def digests(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.scalars(select(BrandLogo.digest)))


def test_each_part_comes_from_the_first_that_has_it(any_database: Database) -> None:
    lab = laboratory(any_database)
    assert sources.brand(lab.service_id) == NEUTRAL
    institute = organisation(any_database, lab.service_id)
    give(any_database, institute, picture(), colours=PLUM, footer=FOOTER, sender_name="Aurora")
    brand = sources.brand(lab.service_id)
    assert brand.logo is not None
    assert (brand.name, brand.is_set, brand.sender_name) == ("Aurora Institute", True, "Aurora")
    assert (brand.logo.width, brand.logo.height, brand.logo.alt) == (240, 60, "The Aurora Institute")
    assert brand.colours.primary == "#7a1f5c"
    assert brand.footer == FOOTER

    give(any_database, own(lab), logo=LogoPart(), footer=Footer(("Sample desk",)), colours=Colours(primary="#245b3a"))
    brand = sources.brand(lab.service_id)
    assert (brand.logo, brand.footer.text, brand.sender_name) == (None, "Sample desk", "Aurora")
    assert brand.colours.primary == "#245b3a"
    with any_database.read() as session:
        said = brands.sources(brands.of(session, own(lab)), brands.above(session, lab.service_id))
    assert said == {
        "logo": "the service’s own",
        "colours": "the service’s own",
        "footer": "the service’s own",
        "sender_name": "from Aurora Institute",
    }
    assert give(any_database, own(lab)) == ["logo", "colours", "footer"]
    assert sources.brand(lab.service_id).footer == FOOTER


def test_services_of_one_organisation_have_one_brand_and_others_none(any_database: Database) -> None:
    lab, other = laboratory(any_database), laboratory(any_database, "Proteomics")
    institute = organisation(any_database, lab.service_id)
    give(any_database, institute, colours=PLUM)
    with any_database.transaction() as session:
        session.get_one(Service, other.service_id).organisation_id = institute.organisation_id
    sources.clear()
    assert sources.brand(lab.service_id) is sources.brand(other.service_id)
    assert sources.brand(laboratory(any_database, "Imaging").service_id) is NEUTRAL


def test_a_change_is_in_the_next_message_of_a_template_that_was_compiled_before(any_database: Database) -> None:
    lab = laboratory(any_database)
    source = (
        '<mjml><mj-head><mj-include path="brand.mjml" /></mj-head><mj-body mj-class="brand-page"><mj-section>'
        '<mj-column><mj-button mj-class="brand-button" href="https://lab.example/">Look</mj-button></mj-column>'
        "</mj-section></mj-body></mjml>"
    )
    lab.template("X_MJML", source, format="mjml", subject="{{ brand.name }}")

    def told() -> tuple[str | None, str]:
        asked = lab.submission(notification(template_id="X_MJML", subject=...))
        (channel,) = explain.explain(content.read(asked)).channels
        return channel.subject, channel.html or ""

    subject, html = told()
    assert subject == "Laboratory"
    assert html.count("background:#1f4e5f") == 2
    give(any_database, own(lab), colours=PLUM, sender_name="Aurora")
    subject, html = told()
    assert subject == "Aurora"
    assert "#1f4e5f" not in html
    assert html.count("background:#7a1f5c") == 2
    assert "background-color:#faf0f7" in html


def test_a_logo_that_was_replaced_is_kept_as_long_as_messages_are(
    any_database: Database, moving_clock: MovableClock
) -> None:
    lab = laboratory(any_database)
    first, second = (pictures.read(picture(colour=one)) for one in ("#111111", "#222222"))
    give(any_database, own(lab), first.content)
    moving_clock.forward(days=300)
    give(any_database, own(lab), second.content)
    assert digests(any_database) == {first.digest, second.digest}
    assert logos.embedded(f"cid:brand-{first.digest}.png").startswith("data:image/png;base64,")
    moving_clock.moment += timedelta(days=29)
    give(any_database, own(lab), second.content, sender_name="One")
    assert digests(any_database) == {first.digest, second.digest}
    moving_clock.moment += timedelta(days=2)
    give(any_database, own(lab), second.content, sender_name="Two")
    assert digests(any_database) == {second.digest}


def test_a_logo_that_comes_back_stays(any_database: Database, moving_clock: MovableClock) -> None:
    lab = laboratory(any_database)
    give(any_database, own(lab), picture())
    give(any_database, own(lab))
    moving_clock.forward(days=20)
    give(any_database, own(lab), picture())
    moving_clock.forward(days=20)
    give(any_database, own(lab), picture(), sender_name="Aurora")
    assert digests(any_database) == {pictures.read(picture()).digest}


def test_the_log_says_what_changed_and_not_the_words_of_a_footer(any_database: Database) -> None:
    lab = laboratory(any_database)
    give(any_database, own(lab), picture(), colours=PLUM, footer=Footer(("Ask ada@lab.example",)))
    assert give(any_database, own(lab), picture(), colours=PLUM, footer=Footer(("Ask ada@lab.example",))) == []
    with any_database.read() as session:
        (entry,) = session.scalars(select(AuditEntry).where(AuditEntry.action == "brand.changed"))
        assert (entry.actor, entry.subject, entry.service_id) == ("ada@lab.example", "Laboratory", lab.service_id)
        assert entry.detail["changed"] == ["logo", "colours", "footer"]
        assert entry.detail["colours"]["primary"] == "#7a1f5c"
        assert "Ask" not in str(entry.detail)


def test_who_is_named_in_a_footer_is_for_people_to_take_out(any_database: Database) -> None:
    lab = laboratory(any_database)
    institute = organisation(any_database, lab.service_id)
    give(any_database, institute, footer=Footer(("Write to Ada@lab.example",)))
    give(any_database, own(lab), footer=Footer(("Nobody",)))
    with any_database.read() as session:
        found = remains.to_be_seen_to(session, Person("ada@lab.example"))
    assert [(one.what, one.service, one.identifier) for one in found] == [("brand", None, "Aurora Institute")]
