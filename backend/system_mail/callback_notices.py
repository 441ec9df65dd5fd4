"""Telling people by e-mail that a callback address of their service was switched off because it failed."""

from backend.callbacks import ended
from backend.callbacks.ended import Ended
from backend.db import database as db
from backend.lib import queue
from backend.system_mail import letters
from backend.system_mail.letters import Letter


@queue.periodic
def tell() -> None:
    """Tell the administrators of the service, each in one e-mail: a look first, which locks nothing."""
    with db.current().read() as session:
        found = ended.untold(session)
    for one in found:
        with db.current().transaction() as session:
            if ended.told(session, one.endpoint_id):
                for address in one.administrators:
                    letters.send(session, address, _letter(one))


def _letter(one: Ended) -> Letter:
    return Letter(
        subject=f"Callbacks to {one.client} are switched off",
        heading="A callback address was switched off",
        opening=f"Status changes are no longer posted to the API client {one.client} of {one.service}. {one.why}",
        button="Look at the API clients",
        note="What was to be posted waits. Switch the address on again once it takes messages.",
        path=f"/portal/services/{one.service_id}/clients",
    )
