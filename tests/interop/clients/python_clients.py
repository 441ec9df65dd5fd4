"""``python_clients.py LIBRARY URL (TOKEN FILE close|keep)…`` posts files and prints the status of each answer."""

import asyncio
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any


def by_urllib(url: str, body: bytes, headers: dict[str, str]) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:  # noqa: S310 - ours
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def by_urllib3(url: str, body: bytes, headers: dict[str, str]) -> int:
    return int(LIBRARY.PoolManager().request("POST", url, body=body, headers=headers).status)


def by_requests(url: str, body: bytes, headers: dict[str, str]) -> int:
    with LIBRARY.Session() as session:
        session.trust_env = False
        return int(session.post(url, data=body, headers=headers, timeout=60).status_code)


def by_httpx(url: str, body: bytes, headers: dict[str, str]) -> int:
    with LIBRARY.Client(trust_env=False, timeout=60) as client:
        return int(client.post(url, content=body, headers=headers).status_code)


def by_aiohttp(url: str, body: bytes, headers: dict[str, str]) -> int:
    async def send() -> int:
        async with LIBRARY.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
            return int(answer.status)

    return asyncio.run(send())


WAYS: dict[str, Callable[[str, bytes, dict[str, str]], int]] = {
    "urllib": by_urllib,
    "urllib3": by_urllib3,
    "requests": by_requests,
    "httpx": by_httpx,
    "httpx2": by_httpx,
    "aiohttp": by_aiohttp,
}
# Each loads for a while, so only the one that is asked for is loaded.
LIBRARY: Any = import_module(sys.argv[1])


def main() -> None:
    name, url, *given = sys.argv[1:]
    for token, file, closing in zip(*[iter(given)] * 3, strict=True):
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        if closing == "close":
            headers["Connection"] = "close"
        print(WAYS[name](url, Path(file).read_bytes(), headers))


main()
