"""What every door says in HTTP."""

from backend.lib import settings


def security_headers(policy: str) -> dict[str, str]:
    """Return the headers that keep a page of ours safe in a browser; ``policy`` is its Content-Security-Policy.

    ``same-origin`` keeps a key in an address from other hosts; ``no-referrer`` would blank the Origin of forms.
    """
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    if settings.current().base_url.startswith("https://"):
        headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    return headers
