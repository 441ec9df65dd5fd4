"""Who there is: organisations, services, users, API clients, tokens and sessions."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from advanced_alchemy.base import IdentityBase
from advanced_alchemy.types import BigIntIdentity
from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import Address, JsonB, Moment
from backend.lib import clock


class Mode(StrEnum):
    """Whom a message can reach."""

    LIVE = "live"  # everybody
    TEAM = "team"  # the members of its service and its guests alone
    TEST = "test"  # nobody: it is made, shown and answered, and leaves by no provider


class Organisation(IdentityBase):
    """A body that services may be grouped under."""

    __tablename__ = "organisations"

    name: Mapped[str] = mapped_column(String(160), unique=True)


class Service(IdentityBase):
    """A system's or team's account: it owns clients, recipients, templates and notifications.

    A service that is not ``live`` is on trial: it reaches its members and guests alone, and so do its API clients if
    it ``holds_clients``; else these say by their modes whom they reach. ``daily_limit`` counts messages a day in UTC;
    null takes the installation's limit. ``mail_from`` (such as ``Laboratory <lab@lab.example>``) and ``reply_to`` (an
    address) are the sender of its e-mails and where answers go; null takes the installation's sender, and no reply
    address.
    ``language`` is a BCP 47 tag. ``mail_layout`` is the identifier of the layout of its Markdown and text e-mails, or
    ``none``; null takes our own. Templates are published with both.
    ``built_in`` marks the one through which Carillon sends its own messages. ``rules_version`` counts the changes of
    its windows and mutes; 0 says that there was never any.
    """

    __tablename__ = "services"

    name: Mapped[str] = mapped_column(String(160), unique=True)
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisations.id"))
    active: Mapped[bool] = mapped_column(default=True)
    live: Mapped[bool] = mapped_column(default=False)
    holds_clients: Mapped[bool] = mapped_column(default=False, server_default=false())
    daily_limit: Mapped[int | None] = mapped_column(default=None)
    mail_from: Mapped[str | None] = mapped_column(String(320), default=None)
    reply_to: Mapped[str | None] = mapped_column(String(254), default=None)
    language: Mapped[str] = mapped_column(String(35), default="en", server_default="en")
    mail_layout: Mapped[str | None] = mapped_column(String(64), default=None)
    built_in: Mapped[bool] = mapped_column(default=False, server_default=false())
    rules_version: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)


class User(IdentityBase):
    """A person who signs in to the portal; the e-mail address is kept in lower case.

    ``password_hash`` is null for those who sign in through an identity provider alone. ``last_service_id`` is the
    service that they saw last.
    """

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(String(254), unique=True)
    password_hash: Mapped[str | None] = mapped_column(String(200), default=None)
    mobile: Mapped[str | None] = mapped_column(String(20), default=None)
    active: Mapped[bool] = mapped_column(default=True)
    platform_admin: Mapped[bool] = mapped_column(default=False)
    failed_logins: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(Moment, default=clock.now, onupdate=clock.now)
    password_changed_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    last_service_id: Mapped[int | None] = mapped_column(BigIntIdentity, default=None)


class Membership(IdentityBase):
    """A user's role in a service: ``admin``, ``editor`` or ``viewer``.

    ``by_group`` marks one that came from a group of the OpenID provider, and goes with it.
    """

    __tablename__ = "memberships"
    __table_args__ = (UniqueConstraint("user_id", "service_id"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"), index=True)
    role: Mapped[str] = mapped_column(String(10))
    by_group: Mapped[bool] = mapped_column(default=False, server_default=false())


class Guest(IdentityBase):
    """An address of somebody who is no member of a service, and is reached all the same while it is held to its team.

    ``type`` is the channel's. The address is in canonical form.
    """

    __tablename__ = "guests"
    __table_args__ = (UniqueConstraint("service_id", "type", "address"),)

    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    type: Mapped[str] = mapped_column(String(16))
    address: Mapped[str] = mapped_column(Address())
    added_by: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)


class GroupRole(IdentityBase):
    """What the members of a group of the OpenID provider may do in a service."""

    __tablename__ = "group_roles"
    __table_args__ = (UniqueConstraint("group_name", "service_id"),)

    group_name: Mapped[str] = mapped_column(String(255))
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"), index=True)
    role: Mapped[str] = mapped_column(String(10))


class ApiClient(IdentityBase):
    """An OAuth 2.0 client of one service.

    ``jwks`` holds the public keys of a client that authenticates by ``private_key_jwt``. ``issuer`` and
    ``issuer_client_id`` are those of a client whose tokens a trusted issuer writes; it gets none here.
    ``last_used_at`` is when it last got a token, or showed a new one of its issuer, to the minute.
    ``mode`` says whom its messages reach; with a ``redirect`` all of them go to that one address instead.
    """

    __tablename__ = "api_clients"
    __table_args__ = (Index("ix_api_clients_issuer", "issuer", "issuer_client_id", unique=True),)

    client_id: Mapped[str] = mapped_column(String(64), unique=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"), index=True)
    name: Mapped[str] = mapped_column(String(160))
    scopes: Mapped[str] = mapped_column(String(200))
    jwks: Mapped[dict[str, Any] | None] = mapped_column(JsonB, default=None)
    issuer: Mapped[str | None] = mapped_column(String(255), default=None)
    issuer_client_id: Mapped[str | None] = mapped_column(String(255), default=None)
    mode: Mapped[str] = mapped_column(String(4), default=Mode.LIVE.value, server_default=Mode.LIVE.value)
    redirect: Mapped[str | None] = mapped_column(Address(), default=None)
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    last_used_at: Mapped[datetime | None] = mapped_column(Moment, default=None)


class ClientSecret(IdentityBase):
    """One live or revoked secret of an API client, kept as a keyed digest; several may be live while rotating.

    ``key_id`` names the secret key of the digest; null is one from before it was written down.
    """

    __tablename__ = "client_secrets"

    api_client_id: Mapped[int] = mapped_column(ForeignKey("api_clients.id"), index=True)
    digest: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[str | None] = mapped_column(String(8), default=None)
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    last_used_at: Mapped[datetime | None] = mapped_column(Moment, default=None)


class SigningKey(IdentityBase):
    """A key that signs access tokens and cannot be derived from the secret key, sealed by the one that is named."""

    __tablename__ = "signing_keys"
    __table_args__ = (UniqueConstraint("algorithm", "key_id"),)

    algorithm: Mapped[str] = mapped_column(String(10))
    key_id: Mapped[str] = mapped_column(String(8))
    sealed: Mapped[str] = mapped_column(String(4000))
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)


class ServiceToken(IdentityBase):
    """A static bearer token of the alpha API, found by its digest and shown again from its ciphertext."""

    __tablename__ = "service_tokens"

    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"), index=True)
    type: Mapped[str] = mapped_column(String(10))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    sealed: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)


class RevokedToken(IdentityBase):
    """The id of an access token that was revoked before its end."""

    __tablename__ = "revoked_tokens"

    jti: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)


class UsedAssertion(IdentityBase):
    """The id of a client assertion (RFC 7523) that was accepted once and may not be again."""

    __tablename__ = "used_assertions"

    jti: Mapped[str] = mapped_column(String(255), unique=True)
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)


class SecondFactor(IdentityBase):
    """What somebody proves beside the password: an authenticator's secret and recovery codes, sealed together.

    ``step`` is the time step (RFC 6238) of the code that was taken last; earlier ones are worth nothing any more.
    """

    __tablename__ = "second_factors"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), unique=True)
    sealed: Mapped[str] = mapped_column(String(2000))
    step: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)


class Passkey(IdentityBase):
    """A passkey (WebAuthn) that may take the place of a code; ``name`` is how its person knows it.

    ``sign_count`` is what the authenticator counted last, 0 where it counts nothing. ``asked_at`` is when the challenge
    was made that it answered last; answers to earlier ones are worth nothing any more.
    """

    __tablename__ = "passkeys"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    asked_at: Mapped[datetime | None] = mapped_column(Moment, default=None)


class PortalSession(IdentityBase):
    """A signed-in browser; the cookie's random value is kept as a keyed digest.

    ``browser`` is how its person knows it, such as "Firefox on Linux". ``by_provider`` marks one that began at the
    OpenID provider, which asks for factors of its own.
    """

    __tablename__ = "portal_sessions"

    digest: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    seen_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    browser: Mapped[str] = mapped_column(String(80), default="", server_default="")
    by_provider: Mapped[bool] = mapped_column(default=False, server_default=false())


class Identity(IdentityBase):
    """A person as an OpenID provider knows them: its issuer and their subject there, never an e-mail address."""

    __tablename__ = "identities"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    issuer: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)


class Invitation(IdentityBase):
    """A link that lets someone join a service once, kept as a keyed digest; ``service_id`` null joins no service."""

    __tablename__ = "invitations"

    digest: Mapped[str] = mapped_column(String(64), unique=True)
    service_id: Mapped[int | None] = mapped_column(ForeignKey("services.id"), index=True)
    email: Mapped[str] = mapped_column(String(254))
    role: Mapped[str] = mapped_column(String(10))
    invited_by: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    accepted_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    withdrawn_at: Mapped[datetime | None] = mapped_column(Moment, default=None)


class PasswordReset(IdentityBase):
    """A link that lets a user choose a new password once, kept as a keyed digest."""

    __tablename__ = "password_resets"

    digest: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)


class OidcAttempt(IdentityBase):
    """A sign-in that is under way at an OpenID provider; its row goes as soon as the browser comes back.

    ``digest`` is that of the ``state``, ``browser`` that of the cookie of the browser which set out. It may be on the
    way to accept an invitation, or to connect a user who is signed in.
    """

    __tablename__ = "oidc_attempts"

    digest: Mapped[str] = mapped_column(String(64), unique=True)
    browser: Mapped[str] = mapped_column(String(64))
    nonce: Mapped[str] = mapped_column(String(64))
    code_verifier: Mapped[str] = mapped_column(String(128))
    next_address: Mapped[str] = mapped_column(String(2000))
    invitation_id: Mapped[int | None] = mapped_column(ForeignKey("invitations.id"), default=None)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), default=None)
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)


class AttemptWindow(IdentityBase):
    """How often something that invites guessing was tried in one window of time, which starts at a second of the epoch.

    ``who`` is a keyed digest of an account or a network address.
    """

    __tablename__ = "attempt_windows"
    __table_args__ = (UniqueConstraint("lane", "who", "starts_at"),)

    lane: Mapped[str] = mapped_column(String(24))
    who: Mapped[str] = mapped_column(String(64))
    starts_at: Mapped[int] = mapped_column(index=True)
    count: Mapped[int]
