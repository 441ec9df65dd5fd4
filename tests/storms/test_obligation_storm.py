"""Workers are killed at any moment while obligations take their steps and people answer: nothing silent, nothing twice.

A storm is drawn by a number, which its first line shows; ``STORM=number`` draws the same one again.
"""

import os
import random
import time
from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select

from backend.db.database import Database
from backend.db.models.notifications import Delivery, Notification
from backend.db.models.obligations import Obligation, ObligationStep
from backend.intake.accept import accept_many
from backend.intake.entries import Accepted
from backend.monitoring import obligation_ledger
from backend.obligations import goals
from backend.obligations.goals import Acknowledgement
from tests.factories import Laboratory, laboratory, notification
from tests.storms.installation import Installation, Mailbox, wait_until

COUNT, ANSWERED, KILLS = 24, 12, 4
SENDERS = 8  # messages that a worker has under way at once
STEPS = [2, 4, 6]


class Storm:
    """Two workers, of which one is killed every now and then, and people who answer."""

    def __init__(self, home: Installation, lab: Laboratory, chance: random.Random) -> None:
        self.home, self.lab, self.chance = home, lab, chance
        self.workers = [home.start("worker"), home.start("worker")]
        self.uids = [accept(lab, number) for number in range(COUNT)]
        self.answered: dict[UUID, set[UUID]] = {}
        self.began, self.kills = time.monotonic(), 0
        self.deaths = sorted(chance.uniform(2, STEPS[-1] + 2) for _ in range(KILLS))
        self.answers = sorted(
            ((chance.uniform(1, STEPS[-1]), uid) for uid in chance.sample(self.uids, ANSWERED)), reverse=True
        )

    def over(self) -> bool:
        """Do what is due now; tell whether every obligation has come to its end, and every message."""
        now = time.monotonic() - self.began
        while self.answers and self.answers[-1][0] <= now:
            self.answer(self.answers.pop()[1])
        if self.deaths and self.deaths[0] <= now:
            self.kill()
        return not self.deaths and not self.answers and self.is_quiet()

    def answer(self, uid: UUID) -> None:
        """Acknowledge, and note which steps had been taken before: no other may follow."""
        with self.lab.database.transaction() as session:
            assert goals.acknowledge(session, self.lab.service_id, uid, Acknowledgement("Ada", "API"))
        with self.lab.database.read() as session:
            owed = select(Obligation.id).where(Obligation.notification_uid == uid).scalar_subquery()
            taken = (ObligationStep.obligation_id == owed, ObligationStep.taken_at.is_not(None))
            self.answered[uid] = set(session.scalars(select(ObligationStep.notification_uid).where(*taken)))

    def kill(self) -> None:
        """Kill one of the workers without a warning, and start another one."""
        self.deaths.pop(0)
        self.home.kill(self.workers.pop(self.chance.randrange(2)))
        self.kills += 1
        self.workers.append(self.home.start("worker"))

    def is_quiet(self) -> bool:
        with self.lab.database.read() as session:
            under_way = session.scalar(select(func.count()).where(Obligation.state == "OPEN"))
            taken = session.scalar(select(func.count()).where(ObligationStep.state == "TAKEN"))
            unsent = session.scalar(select(func.count()).where(Delivery.status.not_in(("SENT", "CANCELLED"))))
        return not (under_way or taken or unsent)


def accept(lab: Laboratory, number: int) -> UUID:
    channels = notification(f"S-{number}")["channels"]
    steps = [{"after": f"{seconds}s", "channels": channels} for seconds in STEPS]
    body = notification(f"S-{number}") | {"obligation": {"until": "acknowledged", "steps": steps}}
    (outcome,) = accept_many([lab.submission(body)], lambda _new: None)
    assert isinstance(outcome, Accepted), outcome
    return UUID(outcome.notification_id)


@pytest.mark.timeout(240)
def test_killed_workers_leave_no_obligation_in_silence_and_take_no_step_twice(
    any_database: Database, tmp_path: Path
) -> None:
    seed = int(os.environ.get("STORM", "1"))
    print(f"\nSTORM={seed}")
    lab = laboratory(any_database)
    with Mailbox(tmp_path / "mailbox") as mailbox, Installation(tmp_path, mailbox.address) as home:
        storm = Storm(home, lab, random.Random(seed))
        wait_until(storm.over, 150, home.lines)
        copies = mailbox.copies()
    messages = check(storm)
    assert set(copies) == messages, "each message of a step that was sent has come, and no other"
    doubles = copies.total() - len(copies)
    print(f"{storm.kills} kills, {len(messages)} messages, {doubles} given twice, as one message with one identity")
    assert doubles <= storm.kills * SENDERS
    with any_database.read() as session:
        (entry,) = obligation_ledger.balance(session, days=2)
    assert (entry.opened, entry.imbalance, entry.met, entry.worklist) == (COUNT, 0, ANSWERED, COUNT - ANSWERED)


def check(storm: Storm) -> set[str]:
    """See that every obligation has its end, and its steps are one message each; return those that were sent."""
    wanted = (
        select(Obligation, ObligationStep, Delivery.uid, Delivery.status)
        .join(ObligationStep, ObligationStep.obligation_id == Obligation.id)
        .outerjoin(Notification, Notification.uid == ObligationStep.notification_uid)
        .outerjoin(Delivery, Delivery.notification_id == Notification.id)
    )
    with storm.lab.database.read() as session:
        rows = session.execute(wanted).all()
    assert set(Counter(step.id for _, step, _, _ in rows).values()) == {1}
    for owed, step, delivery, status in rows:
        answered = owed.notification_uid in storm.answered
        assert owed.state == ("MET" if answered else "WORKLIST")
        assert not answered or delivery is None or step.notification_uid in storm.answered[owed.notification_uid]
        assert answered or step.content is None or status == "SENT"
    return {str(delivery) for _, _, delivery, status in rows if status == "SENT"}
