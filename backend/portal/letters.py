"""The words of the e-mails that let people in, and the addresses of the pages that they lead to."""

from urllib.parse import urlencode

from sqlalchemy.orm import Session

from backend.accounts import password_resets
from backend.accounts.invitations import NewInvitation
from backend.accounts.users import Role
from backend.db.models.accounts import User
from backend.intake import own_mail
from backend.intake.own_mail import Letter
from backend.portal.templates import role_word

CHOOSE_PASSWORD = "/portal/password/new"  # noqa: S105 - an address
INVITATION = "/portal/invitation"
_AN_HOUR = "The link works once, for an hour."


def invite(session: Session, invitation: NewInvitation, by: str, service: str | None, role: Role) -> None:
    """Mail an invitation."""
    joined = f"{service} on Carillon" if service else "Carillon"
    offer = f"as {role_word(role).lower()}" if service else "to Carillon, which sends notifications for teams"
    letter = Letter(
        subject=f"You are invited to {joined}",
        heading=f"Join {joined}",
        opening=f"{by} invites you {offer}. Follow the link to accept, and to set up how you sign in.",
        button="Accept the invitation",
        note="The link works once, for a week. If you did not expect this, there is nothing you need to do.",
        path=_path(INVITATION, invitation.secret),
    )
    own_mail.send(session, invitation.email, letter)


def reset_password(session: Session, user: User) -> None:
    """Mail the link that was asked for."""
    letter = Letter(
        subject="Choose a new password for Carillon",
        heading="Choose a new password",
        opening=f"Somebody, you we hope, asked to change the password of {user.email}.",
        button="Choose a new password",
        note=f"{_AN_HOUR} If it was not you, do nothing: your password stays as it is.",
        path=_path(CHOOSE_PASSWORD, password_resets.begin(session, user)),
    )
    own_mail.send(session, user.email, letter)


def warn(session: Session, user: User) -> None:
    """Tell somebody that their password is being guessed at."""
    letter = Letter(
        subject="Wrong passwords for your Carillon account",
        heading="Somebody tries to sign in as you",
        opening=f"Wrong passwords were entered for {user.email} several times within a few minutes. Nobody got in by "
        "them, and your account stays open to you.",
        button="Sign in",
        note="If it was you, you can choose a new password at the sign-in page. If it was not, there is nothing you "
        "need to do, unless somebody else may know your password: then choose a new one.",
        path="/portal/sign-in",
    )
    own_mail.send(session, user.email, letter)


def _path(page: str, secret: str) -> str:
    return f"{page}?{urlencode({'key': secret})}"
