"""Where providers are told to report to, and when they are told nothing."""

from collections.abc import Callable

import pytest

from backend.channels.receipt_urls import receipt_url
from backend.lib.settings import Settings


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://notify.example", "https://notify.example/receipts/twilio?delivery_id=a%20b"),
        (
            "https://notify.example:8443/carillon",
            "https://notify.example:8443/carillon/receipts/twilio?delivery_id=a%20b",
        ),
        ("https://8.8.8.8", "https://8.8.8.8/receipts/twilio?delivery_id=a%20b"),
        ("http://notify.example", None),
        ("https://127.0.0.1:8000", None),
        ("https://10.1.2.3", None),
        ("https://[::1]:8000", None),
        ("https://localhost", None),
        ("https://carillon.localhost", None),
        ("https://carillon.local", None),
        ("https://lab_1.example", None),
    ],
)
def test_only_a_public_https_address_is_given(configure: Callable[..., Settings], base: str, url: str | None) -> None:
    configure(BASE_URL=base)
    assert receipt_url("twilio", delivery_id="a b") == url
