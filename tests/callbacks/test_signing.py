"""Signatures are those of Standard Webhooks, by any live secret, at the moment of the attempt."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from backend.callbacks import schedule, signing
from backend.lib import clock

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'
MOMENT = datetime.fromtimestamp(1614265330, UTC)


def test_the_published_vector() -> None:
    assert signing.headers([SECRET], ID, MOMENT, BODY) == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_every_live_secret_signs_and_the_library_verifies_each() -> None:
    secrets = [signing.make_secret(), signing.make_secret()]
    headers = signing.headers(secrets, ID, clock.now(), '{"a": "Zoë"}'.encode())
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in secrets:
        assert Webhook(secret).verify('{"a": "Zoë"}'.encode(), headers) == {"a": "Zoë"}


def test_a_secret_is_random_and_of_the_length_that_is_asked_for() -> None:
    made = {signing.make_secret() for _ in range(20)}
    assert len(made) == 20
    assert all(24 <= len(base64.b64decode(one.removeprefix("whsec_"))) <= 64 for one in made)


def test_a_secret_is_sealed_for_its_row(configure: Callable[..., object]) -> None:
    configure()
    sealed = signing.seal(1, SECRET)
    assert SECRET not in sealed
    assert len(sealed) <= 300
    assert signing.unseal(1, sealed) == SECRET
    with pytest.raises(ValueError, match="sealed"):
        signing.unseal(2, sealed)


def test_pauses_grow_and_end() -> None:
    pauses = [schedule.next_attempt(attempts, MOMENT, None) for attempts in range(1, 10)]
    assert all(moment is not None for moment in pauses)
    for moment, least in zip(pauses, schedule.PAUSES, strict=True):
        assert moment is not None
        assert least <= moment - MOMENT <= least * 1.2
    assert schedule.next_attempt(10, MOMENT, timedelta(hours=1)) is None


def test_a_wish_for_later_is_granted_and_one_for_sooner_is_not() -> None:
    later = schedule.next_attempt(1, MOMENT, timedelta(hours=1))
    assert later == MOMENT + timedelta(hours=1)
    sooner = schedule.next_attempt(2, MOMENT, timedelta(seconds=1))
    assert sooner is not None
    assert sooner >= MOMENT + timedelta(minutes=5)
