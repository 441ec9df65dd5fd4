"""A button under a post was pressed: the message is acknowledged, and the post says so from then on."""

from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.channels import slack_presses
from backend.channels.slack_presses import Press
from backend.db import database as db
from backend.db.models.obligations import ObligationState
from backend.delivery.outcomes import edits
from backend.delivery.outcomes.edits import Post
from backend.obligations import goals, links
from backend.obligations.goals import Acknowledgement
from backend.obligations.links import Offer


def pressed(provider: str, press: Press) -> bool:
    """Meet the obligation of a message; false if it had ended before, or its link is none of ours.

    Its posts come to tell who answered as they do whoever has. One that still has a button after that, and one whose
    message is not kept any more, are put right here, as they came with the press. ``provider`` names whose post it is.
    """
    with db.current().transaction() as session:
        offer = links.find(session, press.token)
        if offer is None:
            return False
        first = goals.meet(session, offer.obligation_id, Acknowledgement(press.by, "SLACK"))
        if first:
            _write_down(session, offer, press)
        if not first or not offer.is_kept:
            session.expire_all()
            present = links.find(session, press.token) or offer
            blocks = slack_presses.answered(press, _sentence(present))
            edits.want(session, Post(provider=provider, post=press.post, text=press.text, blocks=blocks))
    return first


def _write_down(session: Session, offer: Offer, press: Press) -> None:
    detail = {"by": press.by, "through": "SLACK"}
    subject = str(offer.notification_uid)
    audit.record(session, audit.SYSTEM, "obligation.acknowledged", subject, service_id=offer.service_id, detail=detail)


def _sentence(offer: Offer) -> str:
    if offer.state == ObligationState.MET.value and offer.met_at is not None:
        return f"Acknowledged by {offer.met_by}, {offer.met_at:%Y-%m-%d %H:%M} UTC"
    return "Closed: nobody has to answer for this any more"
