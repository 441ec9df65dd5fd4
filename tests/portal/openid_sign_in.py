"""A browser's way to an OpenID provider and back."""

import html
import re
from urllib.parse import parse_qs, urlsplit

from httpx import Response

from tests.portal.conftest import Browser
from tests.portal.openid_provider import OpenIdProvider


def depart(browser: Browser, **form: str) -> dict[str, str]:
    """Set out from the sign-in page; return what the provider is asked."""
    answer = browser.send("/portal/sign-in/oidc", **form)
    assert answer.status_code == 200, answer.text
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', answer.text)
    assert found
    return {name: values[0] for name, values in parse_qs(urlsplit(html.unescape(found[1])).query).items()}


def arrive(browser: Browser, provider: OpenIdProvider, asked: dict[str, str], **changes: str | None) -> Response:
    """Come back as the provider would send the browser."""
    provider.challenge = asked["code_challenge"]
    answer = {"code": asked["nonce"], "state": asked["state"], "iss": provider.issuer} | changes
    query = {name: value for name, value in answer.items() if value is not None}
    return browser.client.get("/portal/sign-in/oidc/callback", params=query, follow_redirects=False)


def refused(answer: Response, reason: str) -> None:
    assert answer.status_code == 403
    assert reason in answer.text, answer.text
    assert "You are not signed in" in answer.text
