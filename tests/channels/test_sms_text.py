"""What a text message must be before any provider is asked, and whom it may come from."""

import pytest

from backend.channels.base import Channel, Outcome, ProviderError
from backend.channels.sms_text import Limits, prepared, sender
from tests.channels.messages import message

LIMITS = Limits(gsm=1600, ucs=737)
FIELDS = ("From", "Pool")


def sms(text: str) -> object:
    return prepared(message(channel=Channel.SMS, address="+447700900123", text=text), LIMITS)


@pytest.mark.parametrize("text", ["a" * 1600, "€" * 800, "я" * 737, "😀" * 368])
def test_a_text_may_fill_the_limit(text: str) -> None:
    assert sms(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a" * 1601, "it takes 1601 units in GSM-7, the provider's limit is 1600; shorten the template"),
        ("€" * 801, "1602 units in GSM-7"),
        ("я" * 738, "738 units in UCS-2, the provider's limit is 737"),
        ("😀" * 369, "738 units in UCS-2"),
        ("", "the text is empty"),
        (" \n\t\u200b", "the text is empty"),
    ],
)
def test_what_does_not_fit_fails_for_good_in_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ProviderError, match=r"^the message cannot be sent: ") as caught:
        sms(text)
    assert said in caught.value.detail
    assert caught.value.outcome is Outcome.PERMANENT
    assert not caught.value.route_down


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"from": "+447700900123"}, ("From", "+447700900123")),
        ({"from": " 447700900123"}, ("From", "+447700900123")),  # from=+44… without percent-encoding
        ({"from": "60777"}, ("From", "60777")),
        ({"from": "Lab Notify"}, ("From", "Lab Notify")),
        ({"pool": "MG0123"}, ("Pool", "MG0123")),
    ],
)
def test_a_sender_is_a_number_a_name_or_a_pool(options: dict[str, str], field: tuple[str, str]) -> None:
    assert sender(options, "pool", FIELDS) == field


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "the option from or the option pool"),
        ({"from": "60777", "pool": "MG"}, "not both"),
        ({"from": ""}, "the option from is"),
        ({"from": "+44 7700"}, "the option from is"),
        ({"from": "Twelve chars"}, "the option from is"),
        ({"from": "a\r\nb"}, "the option from is"),
        ({"pool": "x/../y"}, "the option pool is"),
    ],
)
def test_another_sender_is_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sender(options, "pool", FIELDS)
