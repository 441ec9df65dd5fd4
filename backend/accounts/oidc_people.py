"""People who come from an OpenID provider: their accounts, and the roles that their groups give them."""

from sqlalchemy.orm import Session

from backend.accounts import audit, group_roles, identities, users
from backend.accounts.audit import Actor
from backend.accounts.oidc import Arrival, provider_name
from backend.db.models.accounts import User


def admit(session: Session, user: User | None, arrival: Arrival) -> User | None:
    """Give somebody the roles of their groups; who is not known yet gets an account if a group has a role.

    An account that has the address already is connected by whoever can sign in to it, not by its address.
    """
    if arrival.groups is None:
        return user
    roles = group_roles.of_groups(session, arrival.groups)
    if user is None:
        if not roles or not arrival.email or users.by_email(session, arrival.email) is not None:
            return None
        user = users.join(session, arrival.email, None)
        identities.connect(session, user, arrival.issuer, arrival.subject)
        note_connected(session, user, arrival)
    for change in group_roles.follow(session, user, roles):
        detail: dict[str, object] = {"before": change.before, "after": change.after}
        by = Actor("system", provider_name())
        audit.record(session, by, "member.by_group", user.email, service_id=change.service_id, detail=detail)
    return user


def note_connected(session: Session, user: User, arrival: Arrival) -> None:
    """Write down that a user signs in with this identity from now on."""
    by = Actor("person", user.email)
    detail: dict[str, object] = {"issuer": arrival.issuer}
    audit.record(session, by, "identity.connected", user.email, service_id=None, detail=detail)
