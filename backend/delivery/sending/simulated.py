"""What the simulator stands in for: messages to its addresses, and all of the mode ``test``.

They take the way of every other message, but that nothing of what comes of them tells of a real provider. What the
simulator will report of them is kept with their outcome, as receipts that are due later.
"""

import time
from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.channels import simulator
from backend.channels.base import Channel, Message, Outcome, ProviderError, Receipt
from backend.channels.registry import SIMULATORS
from backend.db.models.accounts import Mode
from backend.db.models.notifications import Delivery
from backend.delivery.outcomes import receipts
from backend.delivery.outcomes.record import Result, Waiting
from backend.delivery.queueing.claims import Claim
from backend.delivery.sending import deferral, dispatch, telemetry
from backend.delivery.sending.choice import Choice
from backend.delivery.sending.send_context import SendContext
from backend.lib import clock


def is_simulated(claim: Claim) -> bool:
    """Tell whether a message goes to the simulator and to no provider."""
    return claim.mode == Mode.TEST or simulator.is_address(claim.channel, claim.address)


def dispatch_one(claim: Claim, message: Message, context: SendContext) -> Result | Waiting:
    """Give a message to the simulator, or say until when it waits.

    Raises:
        LostError: if the claim is another's by now.
    """
    provider = SIMULATORS[claim.channel]
    connection = provider.open()
    context.lease.confirm(claim.token)
    began = time.perf_counter()
    answer: Receipt | ProviderError
    try:
        answer = connection.send(message)
    except ProviderError as fault:
        answer = fault
    result = dispatch.result_of(claim, message, provider, answer, connection)
    if claim.mode == Mode.TEST and result.outcome is Outcome.ACCEPTED:
        result = msgspec.structs.replace(result, kept=message)
    telemetry.attempted([(result, time.perf_counter() - began)])
    own = msgspec.structs.replace(context, choice=Choice([provider], context.choice.state))
    return deferral.conclude(claim, message, own, [result], [])


def expect(session: Session, results: Sequence[Result]) -> None:
    """Keep what the simulator will report of messages that it took."""
    for one in results:
        if one.provider == simulator.NAME and one.outcome is Outcome.ACCEPTED:
            _expect(session, one.claim.channel, one.claim.address, str(one.claim.uid))


def expect_anew(session: Session, delivery_ids: Collection[int]) -> None:
    """Keep it of messages whose worker stopped before it could."""
    wanted = select(Delivery.type, Delivery.address, Delivery.uid).where(Delivery.id.in_(delivery_ids))
    for kind, address, uid in session.execute(wanted):
        _expect(session, Channel(kind), address, str(uid))


def _expect(session: Session, channel: Channel, address: str, delivery_id: str) -> None:
    now = clock.now()
    for news in simulator.news(channel, address, delivery_id, now):
        receipts.expect(session, simulator.NAME, news.event, now + news.after)
