"""What templates see besides their fields: the service, the installation and its address."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from backend.db.database import Database
from backend.db.models.accounts import Service
from backend.db.models.notifications import OutboxMessage
from backend.delivery import tasks
from backend.delivery.sending.send import Sender
from backend.intake import content, explain
from backend.intake.accept import accept_many
from backend.lib import settings
from backend.lib.fair_pool import Share
from backend.publishing import sources
from backend.rendering import engine
from backend.rendering.fields_read import fields_read
from backend.rendering.model import RenderJob, Source, Surroundings
from backend.rendering.pool import PREVIEWS
from tests.factories import laboratory, notification

WORDS = (
    "{% if not environment.production %}[{{ environment.name }}] {% endif %}"
    "{{ service.name }} at {{ base_url }}: {{ sample_id | default('none') }}"
)
AROUND = Surroundings("Laboratory", "UAT", production=False, base_url="https://carillon.lab.example")


def _text(source: str, fields: object, *, batch: bool = False) -> str:
    return engine.render(RenderJob("", Source("text", source, around=AROUND), fields, batch)).text


def test_a_template_sees_whose_message_it_is_and_of_which_installation() -> None:
    assert _text(WORDS, {"sample_id": "S-1"}) == "[UAT] Laboratory at https://carillon.lab.example: S-1"
    assert _text("{{ environment.name }}: {{ fields | length }}", [{}, {}], batch=True) == "UAT: 2"


def test_a_field_of_the_same_name_wins() -> None:
    assert _text("{{ service }} {{ environment.name }}", {"service": "Mine"}) == "Mine UAT"


def test_they_need_no_fields_and_no_sample_has_to_have_them() -> None:
    source = Source("text", WORDS, around=AROUND)
    assert fields_read(source).needed == frozenset()
    assert engine.check(source, {"sample_id": "S-1"}) == []
    assert engine.check(source) == []


def test_a_child_process_sees_them_too() -> None:
    job = RenderJob("", Source("text", WORDS + "{{ 'x' * 3 }}", around=AROUND), {})
    assert PREVIEWS.render(job, Share(1)).text.startswith("[UAT] Laboratory")


@pytest.mark.parametrize(("name", "shown"), [("", "[test] "), ("UAT", "[UAT] "), ("production", "")])
def test_what_is_explained_and_what_is_sent_tell_the_installation(
    database: Database, monkeypatch: pytest.MonkeyPatch, name: str, shown: str
) -> None:
    monkeypatch.setenv("CARILLON_ENVIRONMENT_NAME", name)
    settings.current.cache_clear()
    lab = laboratory(database)
    lab.template("X_WORDS", WORDS, format="text", subject="{{ service.name }}")
    body = notification(template_id="X_WORDS", subject=...)
    words = f"{shown}Laboratory at {settings.current().base_url}: S-1"
    (channel,) = explain.explain(content.read(lab.submission(body))).channels
    assert (channel.subject, channel.text) == ("Laboratory", words)
    accept_many([lab.submission(body)], tasks.wake)
    Sender("worker-one").send_some()
    with database.read() as session:
        kept = session.scalars(select(OutboxMessage)).one()
    assert (kept.subject, kept.text) == ("Laboratory", words)
    with database.transaction() as session:
        session.get_one(Service, lab.service_id).name = "Laboratories"
    sources.clear()
    (channel,) = explain.explain(content.read(lab.submission(body))).channels
    assert channel.subject == "Laboratories"


def test_a_name_or_colour_that_cannot_be_used_stops_the_start(configure: Callable[..., settings.Settings]) -> None:
    assert configure(ENVIRONMENT_NAME="UAT").environment_colour == "amber"
    assert configure(ENVIRONMENT_NAME="Ward 7", ENVIRONMENT_COLOUR="red").environment_colour == "red"
    with pytest.raises(
        settings.SettingError, match="CARILLON_ENVIRONMENT_COLOUR must be red, amber, green, blue, indigo or grey"
    ):
        configure(ENVIRONMENT_NAME="UAT", ENVIRONMENT_COLOUR="pink")
    with pytest.raises(settings.SettingError, match="CARILLON_ENVIRONMENT_NAME must be"):
        configure(ENVIRONMENT_NAME="U" * 41)
