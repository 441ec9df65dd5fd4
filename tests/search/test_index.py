"""The index on both databases: what is found and where, what is never missed, and what goes with its notification."""

import threading
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, func, insert, select, text, update

from backend.db.database import Database
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification
from backend.db.models.search import SearchAgain, SearchEntry, SearchProgress
from backend.delivery import tasks as delivery_tasks
from backend.lib import clock, ids
from backend.reports import lines
from backend.search import documents, fill, frequent_words, on_postgresql, pages, query, tasks
from backend.search.pages import Search
from tests.conftest import MovableClock
from tests.portal.desk import desk
from tests.search.conftest import Seeker, gathered
from tests.search.test_words import HOSTILE

SUBJECT = "Sample {{ sample_id }} of {{ person | default('nobody') | upper }}"


def entries(database: Database) -> list[int]:
    with database.read() as session:
        return list(session.scalars(select(SearchEntry.notification_id).order_by(SearchEntry.notification_id)))


def words_kept(database: Database) -> int:
    """Count what the full-text table itself finds of every notification of the first service."""
    with database.read() as session:
        if database.is_sqlite:
            return session.scalar(text("SELECT count(*) FROM search_words WHERE search_words MATCH 's_1'")) or 0
        return session.scalar(select(func.count()).select_from(SearchEntry)) or 0


def watermark(database: Database) -> int:
    with database.read() as session:
        return session.scalars(select(SearchProgress.watermark)).one()


def test_it_is_found_by_everything_that_people_know_of_it(seeker: Seeker) -> None:
    lab = seeker.at.lab
    lab.template("X_NAMED", subject=SUBJECT)
    lab.recipient("X_PHONE", ("SMS", "+447700900123"))
    lab.recipient("X_TICKET", ("FRESHSERVICE", "desk@lab.example;group_id=42"))
    fields = {"sample_id": "40STDY246690", "person": "Jürgen Groß", "deep": {"run": [{"lane": 7788}]}}
    one = seeker.at.accept(subject=..., template_id="X_NAMED", fields=fields, aggregator_id="plate-9:A1")
    seeker.at.accept("S-2", type="SMS", recipient=["X_PHONE"], subject=...)
    ticket = seeker.at.accept("S-3", type="FRESHSERVICE", recipient=["X_TICKET"])
    for asked, span in {
        "40stdy": ("subject", None, "40STDY246690"),
        "gross jurgen": ("subject", None, "GROSS"),
        "lab@lab.example": ("address", None, "lab@lab.example"),
        "7788": ("field", "deep.run.lane", "7788"),
        "x_named": ("template_id", None, "X_NAMED"),
        "plate-9": ("aggregator_id", None, "plate-9"),
        one.hex[3:12]: ("notification_id", None, str(one)[3:13]),
        str(one)[-7:]: ("notification_id", None, str(one)[-7:]),
    }.items():
        assert one in seeker.found(asked), asked
        assert seeker.where(asked)[0] == span, asked
    assert seeker.found("+44 7700") == []
    assert len(seeker.found("+447700900")) == 1
    assert seeker.found(address="+44 7700 900123") == seeker.found("447700900123")
    assert seeker.found(address="DESK@lab.example") == [ticket]
    assert seeker.found("sample 40stdy nothing") == []
    assert seeker.found("stdy") == []


def test_a_refused_one_is_found_by_what_it_asked_for_and_by_all_once_it_is_accepted(seeker: Seeker) -> None:
    uid = seeker.at.accept("S-77", recipient=["X_NEW"])
    assert seeker.found("x_new s-77") == [uid]
    assert seeker.found(address="new@lab.example") == []
    seeker.at.lab.recipient("X_NEW", ("EMAIL", "new@lab.example"))
    assert seeker.at.accept("S-77", recipient=["X_NEW"]) == uid
    assert seeker.found("new@lab.example") == [uid]
    assert seeker.found(address="new@lab.example") == [uid]
    assert seeker.found(str(seeker.at.submit({"channels": "none"}))[:9]) != []


def test_a_batch_is_found_by_its_address_and_subject_once_it_has_them(
    seeker: Seeker, moving_clock: MovableClock
) -> None:
    seeker.at.lab.template("X_LIST", "<p>{{ fields | length }}</p>", subject="{{ fields | length }} problems")
    uids = seeker.at.buffer("S-1", "S-2", subject=...)
    assert seeker.found("1 problems") == uids[::-1]
    assert seeker.found(address="lab@lab.example") == []
    moving_clock.forward(minutes=5)
    seeker.at.dispatch()
    assert seeker.found("2 problems") == uids[::-1]
    assert seeker.found(address="lab@lab.example") == uids[::-1]
    with seeker.database.read() as session:
        found = lines.of(session, session.execute(select(*lines.COLUMNS)).all())
    assert {one.facts.subject for one in found} == {"2 problems"}
    assert {one.facts.address for one in found} == {"lab@lab.example"}


def test_it_is_found_by_the_id_that_a_provider_gave_and_by_that_of_its_message(seeker: Seeker) -> None:
    uid, _ = seeker.at.accept("S-1"), seeker.at.accept("S-2")
    with seeker.database.transaction() as session:
        row = session.scalars(select(Notification.id).where(Notification.uid == uid)).one()
        own = Delivery.notification_id == row
        session.execute(update(Delivery).where(own).values(provider_message_id="<0102-AbC@mail.example>"))
        message = session.scalars(select(Delivery.uid).where(own)).one()
    assert seeker.where("<0102-AbC@mail.example>") == [("provider_message_id", None, "<0102-AbC@mail.example>")]
    assert seeker.where(str(message))[0][0] == "delivery_id"
    assert seeker.found(str(message)) == [uid]


def test_an_address_that_is_a_secret_is_neither_kept_nor_found_by_its_secret_part(seeker: Seeker) -> None:
    hook = "https://hooks.slack.com/services/T00000000/B00000000/verysecretpart9876"
    seeker.at.lab.recipient("X_CHAT", ("SLACK", hook))
    uid = seeker.at.accept("S-1", type="SLACK", recipient=["X_CHAT"], subject=...)
    assert seeker.found("verysecretpart9876") == []
    assert seeker.found("hooks.slack.com") == [uid]
    assert seeker.found(address=hook) == [uid]
    with seeker.database.read() as session:
        assert "verysecret" not in str(session.scalars(select(SearchEntry.words)).all())


def test_words_beside_each_other_are_compared_as_they_stand(seeker: Seeker) -> None:
    apart = seeker.at.accept(fields={"sample_id": "1", "from": "jane", "to": "doe"})
    beside = seeker.at.accept(fields={"sample_id": "2", "who": "jane.doe"})
    assert seeker.found("jane.doe") == [beside]
    assert seeker.found("jane doe") == [beside, apart]


def test_another_services_notifications_are_not_found(seeker: Seeker) -> None:
    museum = desk(seeker.database, "Museum")
    uid = museum.accept("S-1", recipient=["M_LAB"], template_id="M_SAMPLE")
    own = seeker.at.accept("S-1")
    assert seeker.found("sample") == [own]
    assert seeker.found(str(uid)) == []
    assert Seeker(museum).found("sample") == [uid]


def test_whatever_is_asked_is_only_text(seeker: Seeker) -> None:
    gathered(seeker.database)
    for asked in HOSTILE:
        assert seeker.hits(asked).matches == {}, asked
        assert seeker.hits(None, asked).matches == {}, asked
    quoted = "quoted \" AND (words*) 'of' NEAR & | ! <-> :*"
    uid = seeker.at.accept(fields={"sample_id": quoted})
    assert seeker.found(quoted) == [uid]


def test_retention_takes_the_words_along(seeker: Seeker, moving_clock: MovableClock) -> None:
    seeker.at.accept("S-1")
    seeker.at.finish(DeliveryStatus.SENT, "250 Ok")
    moving_clock.forward(days=20)
    kept = seeker.at.accept("S-2")
    assert len(seeker.found("sample")) == 2
    moving_clock.forward(days=15)
    delivery_tasks._housekeeping.again()
    delivery_tasks.purge.run()
    assert seeker.found("sample") == [kept]
    assert words_kept(seeker.database) == 1


def test_a_number_that_is_given_again_has_the_words_of_its_new_notification(database: Database) -> None:
    seeker = Seeker(desk(database))
    seeker.at.accept("S-1")
    gathered(database)
    with database.transaction() as session:
        session.execute(delete(Delivery))
        session.execute(delete(Notification))
    uid = seeker.at.accept("S-2")
    assert seeker.found("s-2") == [uid]
    assert seeker.found("s-1") == []


def test_what_several_workers_gather_at_once_is_there_once(seeker: Seeker, monkeypatch: pytest.MonkeyPatch) -> None:
    uids = [seeker.at.accept(f"S-{number}") for number in range(30)]
    faults: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(12):
                fill.some(seeker.database, 5)
        except Exception as fault:
            faults.append(fault)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert faults == []
    assert seeker.found("sample") == uids[::-1]
    assert words_kept(seeker.database) == 30


def test_what_was_gathered_in_vain_is_gathered_again(seeker: Seeker, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = seeker.at.accept("S-1")

    def fail(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr("backend.search.fill._still_there", fail)
        with pytest.raises(RuntimeError):
            fill.some(seeker.database)
    assert entries(seeker.database) == []
    assert seeker.found("sample") == [uid]


def test_the_task_catches_up_with_a_backlog(seeker: Seeker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill.some, "__defaults__", (5,))
    monkeypatch.setattr(fill, "MOST", 5)
    for number in range(23):
        seeker.at.accept(f"S-{number}")
    tasks.index.run()
    assert len(entries(seeker.database)) == 23
    with seeker.database.transaction() as session:
        session.execute(delete(SearchEntry))
        session.execute(update(SearchProgress).values(watermark=0))
    assert len(seeker.found("sample")) == 23


def late(database: Database, service_id: int) -> tuple[Any, UUID]:
    """Begin a transaction that has a number before those of others, and is not committed."""
    connection = database.engine.connect()
    uid, now = ids.random_id(), clock.now()
    values = {"uid": uid, "service_id": service_id, "priority": 1, "status": "DISPATCHED", "accepted_at": now}
    content = '{"channels":[{"type":"EMAIL","recipient":["X_LATE"],"template_id":"X_SAMPLE","fields":{}}]}'
    connection.execute(insert(Notification).values(content=content, created_at=now, updated_at=now, **values))
    return connection, uid


def test_what_is_committed_late_is_not_missed(postgres_database: Database) -> None:
    seeker = Seeker(desk(postgres_database))
    first = seeker.at.accept("S-1")
    connection, uid = late(postgres_database, seeker.at.lab.service_id)
    later = [seeker.at.accept(f"S-{number}") for number in range(2, 5)]
    gathered(postgres_database)
    assert len(entries(postgres_database)) == 4
    assert watermark(postgres_database) == 0
    for _ in range(3):
        fill.some(postgres_database)
    assert watermark(postgres_database) == 0
    connection.commit()
    connection.close()
    assert seeker.found("x_late") == [uid]
    assert seeker.found("sample") == [*later[::-1], uid, first]
    with postgres_database.read() as session:
        assert watermark(postgres_database) == session.scalar(select(func.max(Notification.id)))


def test_numbers_that_were_never_used_hold_nothing_up(postgres_database: Database) -> None:
    seeker = Seeker(desk(postgres_database))
    connection, _ = late(postgres_database, seeker.at.lab.service_id)
    connection.rollback()
    connection.close()
    uid = seeker.at.accept("S-1")
    assert seeker.found("sample") == [uid]
    assert watermark(postgres_database) == entries(postgres_database)[-1] > 1


def test_a_very_large_one_is_found_by_its_first_words(seeker: Seeker) -> None:
    many = {f"f{number}": f"ö{number:07}" + "ü" * 60 for number in range(1_200)}
    uid = seeker.at.accept(fields={"sample_id": "first", **many, "last": "unreached"})
    assert seeker.found("first") == [uid]
    assert seeker.found(many["f100"]) == [uid]


def test_notifications_with_very_many_messages_are_gathered_one_by_one(
    seeker: Seeker, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = [seeker.at.accept(f"S-{number}", recipient=["X_TWO"]) for number in range(5)]
    monkeypatch.setattr(documents, "_MOST_MESSAGES", 3)
    assert seeker.found("night@lab.example") == uids[::-1]


def test_requests_to_gather_anew_are_done_once(seeker: Seeker) -> None:
    uid = seeker.at.accept("S-1")
    gathered(seeker.database)
    (row,) = entries(seeker.database)
    with seeker.database.transaction() as session:
        session.execute(insert(SearchAgain), [{"notification_id": row}, {"notification_id": row}])
        session.execute(insert(SearchAgain), [{"notification_id": 999}])
        session.execute(update(Delivery).values(address="other@lab.example"))
    assert seeker.found("other@lab.example") == [uid]
    assert seeker.found("lab@lab.example") == []
    with seeker.database.read() as session:
        assert session.scalars(select(SearchAgain.id)).all() == []


def test_what_is_common_and_what_is_rare_is_found_in_pages_all_the_same(
    seeker: Seeker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With small strides every way of asking is gone: through the newest, by the index, and far back."""
    made = [seeker.at.accept(f"plate {'even' if number % 2 else 'odd'} n{number:03}") for number in range(24)]
    gathered(seeker.database)
    monkeypatch.setattr(frequent_words, "STRIDE", 2)
    monkeypatch.setattr(frequent_words, "LONG_STRIDE", 5)
    monkeypatch.setattr(on_postgresql, "_MOST_BY_INDEX", 3)
    wanted = {"plate": made, "plate even": made[1::2], "even odd": [], "n007 plate": [made[7]], "even.n007": [made[7]]}
    for asked, uids in wanted.items():
        found: list[UUID] = []
        before: int | None = None
        for _ in range(30):
            with seeker.database.read() as session:
                search = Search(seeker.at.lab.service_id, query.read(asked))
                hits = pages.page(session, search, before=before, size=4)
            found += seeker.uids(list(hits.matches))
            before = hits.next
            if before is None:
                break
        assert found == uids[::-1], asked
