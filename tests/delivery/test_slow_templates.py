"""What slow templates do to a worker: they are sent a few at a time, and nobody else's messages wait for them."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.leases import Lease
from backend.db.models.notifications import DeliveryStatus, Priority
from backend.delivery import tasks
from backend.delivery.content.batch_parts import BatchPart
from backend.delivery.queueing import claims
from backend.delivery.queueing.claims import Claim
from backend.delivery.queueing.fairness import FairScheduler
from backend.delivery.sending import compose
from backend.delivery.sending.compose import Composer, most_at_once
from backend.delivery.sending.send import Sender
from backend.intake.accept import accept_many
from backend.lib import clock
from backend.lib.fair_pool import Share
from backend.registry.lookup import FoundTemplate
from backend.rendering.model import RenderJob
from backend.rendering.pool import Bounds, Pool
from tests.conftest import MovableClock
from tests.delivery.conftest import Post
from tests.factories import laboratory, notification

SLOW, QUICK, URGENT = Share(1), Share(2), Share(1, urgent=True)
TEMPLATE = FoundTemplate("X", 1, 1, "text", "{{ name }}", None, None, "template")


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch, database: Database) -> Iterator[Pool]:
    made = Pool("backend.rendering.child", Bounds(children=4, seconds=9.0, patience=30.0, waiting=99, capacity=99))
    monkeypatch.setattr(compose, "DELIVERIES", made)
    yield made
    made.close()


def seems_slow(pool: Pool, share: Share, seconds: float) -> None:
    """Let the pool have seen that a service's templates take so long each."""
    pool._threads.run(share, lambda watch: setattr(watch, "_since", time.monotonic() - seconds))


def claim(number: int, share: Share, batch: int | None = None) -> Claim:
    return Claim(
        id=number,
        uid=uuid4(),
        notification_id=number,
        batch_id=batch,
        service_id=share.service_id,
        priority=Priority.HIGH if share.urgent else Priority.NORMAL,
        channel=Channel.EMAIL,
        address="lab@lab.example",
        attempts=0,
        accepted_at=clock.now(),
        template_version_id=1,
        content_type="text",
        subject="S",
        fields={"name": str(number)},
        token="worker",
    )


def test_urgent_ones_come_first_and_slow_ones_last(pool: Pool) -> None:
    seems_slow(pool, SLOW, 0.6)
    given = [claim(1, SLOW), claim(2, QUICK), claim(3, SLOW), claim(4, URGENT), claim(5, QUICK)]
    composed = Composer({1: TEMPLATE}, lambda _batch: BatchPart([])).compose(given)
    assert [one.id for one, _ in composed.made] == [4, 2, 5, 1, 3]
    assert composed.left == []


def test_slow_ones_have_a_little_time_and_the_rest_goes_back(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    seems_slow(pool, SLOW, 60.0)
    monkeypatch.setattr(compose, "_SLOW_SECONDS", 0.0)
    given = [claim(number, SLOW) for number in range(20)] + [claim(99, QUICK)]
    composed = Composer({1: TEMPLATE}, lambda _batch: BatchPart([])).compose(given)
    assert [one.id for one, _ in composed.made] == [99]
    assert len(composed.left) == 20
    composed = Composer({1: TEMPLATE}, lambda _batch: BatchPart([]), one_at_least=True).compose(given[:20])
    assert [one.id for one, _ in composed.made] == [0]


def test_batches_are_rendered_once_for_all_their_addresses_and_bounded_in_memory(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compose, "_MOST_CHARACTERS", 10)
    loaded: list[int] = []

    def load(batch: int) -> BatchPart:
        loaded.append(batch)
        return BatchPart([{"name": "x"}])

    source = "{% for one in fields %}{{ one.name * 20 }}{% endfor %}"
    template = FoundTemplate("X", 1, 1, "text", source, None, None, "template")
    given = [claim(1, QUICK, 7), claim(2, QUICK, 7), claim(3, QUICK, 8), claim(4, QUICK, 8)]
    composed = Composer({1: template}, load).compose(given)
    assert [one.id for one, _ in composed.made] == [1, 2]
    assert [one.id for one in composed.left] == [3, 4]
    assert loaded == [7]


def test_few_of_a_slow_service_are_worth_claiming_and_all_of_another(pool: Pool) -> None:
    assert most_at_once(1, Priority.NORMAL, 200) == 200
    seems_slow(pool, SLOW, 0.3)
    assert most_at_once(1, Priority.NORMAL, 200) == 3
    assert most_at_once(1, Priority.HIGH, 200) == 200
    assert most_at_once(2, Priority.NORMAL, 200) == 200


def test_a_service_that_is_worth_nothing_now_loses_its_turn_to_the_next(
    database: Database, moving_clock: MovableClock
) -> None:
    slow, other = laboratory(database), laboratory(database, "Archive")
    for lab, prefix in ((slow, "X"), (other, "A")):
        bodies = [notification(f"{n}", recipient=[f"{prefix}_LAB"], template_id=f"{prefix}_SAMPLE") for n in range(5)]
        accept_many([lab.submission(body) for body in bodies], tasks.wake)
    scheduler = FairScheduler(lambda service, _priority, most: 0 if service == slow.service_id else most)
    token = Lease("worker").ready()
    with database.transaction() as session:
        taken = claims.claim(session, token, Channel.EMAIL, limit=10, scheduler=scheduler)
    assert [one.service_id for one in taken] == [other.service_id] * 5


def test_what_is_quick_is_out_before_anything_slow_is_begun(
    post: Post, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = laboratory(post.lab.database, "Archive")
    seems_slow(pool, Share(post.lab.service_id, urgent=True), 0.6)
    seems_slow(pool, Share(other.service_id, urgent=True), 0.01)
    post.accept(priority="HIGH")
    body = notification(recipient=["A_LAB"], template_id="A_SAMPLE", priority="HIGH")
    accept_many([other.submission(body)], tasks.wake)
    taken: list[tuple[int, int]] = []
    render = pool.render_some

    def watched(jobs: Sequence[RenderJob], share: Share, *args: Any, **options: Any) -> list[Any]:
        taken.append((share.service_id, len(post.server.messages)))
        return render(jobs, share, *args, **options)

    monkeypatch.setattr(pool, "render_some", watched)
    assert post.sender.send_from(Channel.EMAIL) == 2
    assert taken == [(other.service_id, 0), (post.lab.service_id, 1)]
    assert len(post.server.messages) == 2


def test_few_threads_are_kept_by_slow_templates(pool: Pool) -> None:
    """Six threads have claimed a slow one each: two are rendered, and the others go back at once."""
    seems_slow(pool, SLOW, 0.6)
    source = "{% for a in range(300) %}{% for b in range(500) %}{% endfor %}{% endfor %}"
    template = FoundTemplate("X", 1, 1, "text", source, None, None, "template")
    began = threading.Barrier(6)

    def compose_one(number: int) -> tuple[int, float]:
        began.wait(30)
        since = time.monotonic()
        composed = Composer({1: template}, lambda _batch: BatchPart([])).compose([claim(number, SLOW)])
        return len(composed.made), time.monotonic() - since

    with ThreadPoolExecutor(6) as threads:
        done = list(threads.map(compose_one, range(6)))
    made, left = ([seconds for count, seconds in done if count == one] for one in (1, 0))
    assert len(made) == 2
    assert len(left) == 4
    assert max(left) < min(made)


def test_what_went_back_is_sent_by_and_by(post: Post, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [post.accept(fields={"sample_id": f"S-{number}"}) for number in range(6)]
    seems_slow(pool, Share(post.lab.service_id), 0.3)
    monkeypatch.setattr(compose, "_SLOW_SECONDS", 0.7)
    assert post.sender.send_from(Channel.EMAIL) == 2, "as many as fit into the time"
    while post.send():
        pass
    assert {delivery.status for one in ids for delivery in post.deliveries(one)} == {DeliveryStatus.SENT.value}
    assert not post.sender.holding
    assert isinstance(post.sender, Sender)
