"""Random lives of obligations: receipts, answers, two workers, crashes and a clock that jumps, on both engines.

Whatever happens, each ends with somebody who answered or on the worklist, and no step is sent twice or after the end.
"""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as examples
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import func, select

from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.models.notifications import Notification
from backend.db.models.obligations import Obligation, ObligationStep
from backend.delivery.providers import routes
from backend.intake import escalation
from backend.intake.accept import Accepted, accept_many
from backend.obligations import goals
from backend.obligations.goals import Acknowledgement
from tests.conftest import MovableClock
from tests.factories import laboratory, notification
from tests.intake.conftest import at_once
from tests.obligations.deaths import Phone
from tests.obligations.lives import Obligations

# What the suite takes has to be quick; `make explore` looks for long, each time at others, and shortens a bad one.
_LIVES = 12
_EXPLORES = examples.get_current_profile_name() == "explore"
_PHASES = [Phase.explicit, Phase.generate]


def test_no_obligation_ends_in_silence_and_no_step_goes_twice(
    any_database: Database, moving_clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = {channel: Phone(channel) for channel in (Channel.EMAIL, Channel.SMS)}
    monkeypatch.setattr(
        routes, "routes", lambda: {channel: [both[channel]] if channel in both else [] for channel in Channel}
    )
    shared = laboratory(any_database)
    shared.recipient("X_LAB", ("EMAIL", "lab@lab.example"), ("SMS", "+447700900123"))

    class Machine(Obligations):
        lab, clock, patch, phones = shared, moving_clock, monkeypatch, both

    lives = examples(
        max_examples=examples().max_examples if _EXPLORES else _LIVES,
        stateful_step_count=25,
        phases=[*_PHASES, Phase.shrink] if _EXPLORES else _PHASES,  # to find a shorter life takes minutes
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=lives)


def test_who_answers_while_two_workers_take_the_step_is_heard_once(
    any_database: Database, moving_clock: MovableClock
) -> None:
    lab = laboratory(any_database)
    for number in range(5):
        body = notification(f"S-{number}") | {
            "obligation": {"until": "acknowledged", "steps": [{"after": "1m", "channels": notification()["channels"]}]}
        }
        (outcome,) = accept_many([lab.submission(body)], lambda _new: None)
        assert isinstance(outcome, Accepted)
        uid = UUID(outcome.notification_id)
        moving_clock.forward(minutes=1)

        def answer(uid: UUID = uid) -> Any:
            with lab.database.transaction() as session:
                return goals.acknowledge(session, lab.service_id, uid, Acknowledgement("Ada", "API"))

        answers = at_once([escalation.escalate.run, answer, escalation.escalate.run, answer])
        assert sorted(one for one in answers if one is not None) == [False, True]
        with lab.database.read() as session:
            row = session.scalars(select(Obligation).where(Obligation.notification_uid == uid)).one()
            step = session.scalars(
                select(ObligationStep).where(ObligationStep.obligation_id == row.id, ObligationStep.number == 1)
            ).one()
            there = session.scalar(select(func.count()).where(Notification.uid == step.notification_uid))
        assert row.state == "MET"
        assert (step.state, there) in {("SENT", 1), ("CANCELLED", 0)}
