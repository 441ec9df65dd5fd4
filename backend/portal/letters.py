"""The words of the e-mails that let people in, and the addresses of the pages that they lead to."""

from urllib.parse import urlencode

from sqlalchemy.orm import Session

from backend.accounts import password_resets
from backend.accounts.invitations import NewInvitation
from backend.accounts.senders import NewLink
from backend.accounts.users import Role
from backend.db.models.accounts import User
from backend.db.models.senders import SenderKind
from backend.portal.templates import role_word
from backend.system_mail import letters
from backend.system_mail.letters import Letter

CHOOSE_PASSWORD = "/portal/password/new"  # noqa: S105 - an address
INVITATION = "/portal/invitation"
SENDER = "/portal/sender"
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
    letters.send(session, invitation.email, letter)


_USES = {
    SenderKind.FROM: ("come from", "Its e-mails then bear this address as their sender."),
    SenderKind.REPLY_TO: ("have answers sent to", "Whoever answers one of its e-mails then writes to this address."),
}


def verify_sender(session: Session, link: NewLink, by: str, service: str) -> None:
    """Ask whoever reads an address whether a service may use it."""
    use, meaning = _USES[link.kind]
    letter = Letter(
        subject=f"May {service} use {link.address}?",
        heading=f"May {service} use this address?",
        opening=f"{by} asks that e-mails of {service} may {use} {link.address}. {meaning}",
        button="Look at the request",
        note="Nothing is permitted before you press the button on that page. The link works once, for a week. If you "
        "did not expect this, do nothing: the address is then not used.",
        path=_path(SENDER, link.secret),
    )
    letters.send(session, link.address, letter)


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
    letters.send(session, user.email, letter)


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
    letters.send(session, user.email, letter)


def warn_of_codes(session: Session, user: User) -> None:
    """Tell somebody that their password is known to whoever guesses at their codes."""
    letter = Letter(
        subject="Wrong codes for your Carillon account",
        heading="Somebody has your password",
        opening=f"The right password was entered for {user.email}, and then wrong codes of your authenticator several "
        "times. Nobody got in by them.",
        button="Choose a new password",
        note="If it was you, look at the clock of your authenticator, or use a recovery code. If it was not, choose "
        "a new password now.",
        path="/portal/password",
    )
    letters.send(session, user.email, letter)


_CHANGES = {
    "on": ("Two-factor sign-in is on", "you are asked for a code beside your password from now on"),
    "off": ("Two-factor sign-in is off", "your password alone lets you in from now on"),
    "codes": ("You have new recovery codes", "the old ones do not work any more"),
    "passkey": ("A passkey was added", "it signs you in in place of a code from now on"),
    "passkey-removed": ("A passkey was removed", "it does not sign you in any more"),
}


def tell_of_second_factor(session: Session, user: User, change: str) -> None:
    """Tell somebody that their two-factor sign-in was changed; ``change`` is one of those above."""
    heading, meaning = _CHANGES[change]
    letter = Letter(
        subject=f"{heading} for your Carillon account",
        heading=heading,
        opening=f"This was changed for {user.email}: {meaning}.",
        button="Look at your account",
        note="If it was not you, choose a new password and ask whoever runs this installation for help.",
        path="/portal/account",
    )
    letters.send(session, user.email, letter)


def _path(page: str, secret: str) -> str:
    return f"{page}?{urlencode({'key': secret})}"
