"""The limit of a day is exact however many send at once, to a real web process."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from backend.accounts import service_tokens, services
from backend.db.database import Database
from tests.alpha.conftest import EMAIL, SMS
from tests.storms.installation import Installation, wait_until

LIMIT = 100
SENDERS = 20


@pytest.mark.timeout(120)
def test_two_hundred_at_once_against_a_limit_of_one_hundred(any_database: Database, tmp_path: Path) -> None:
    with any_database.transaction() as session:
        service = services.create_service(session, "Sample office", live=True, daily_limit=LIMIT)
        token = service_tokens.create(session, service, "client").token
    headers = {"Authorization": f"Bearer {token}"}
    with Installation(tmp_path, "smtp://127.0.0.1:9") as home:
        home.start("serve")
        with httpx2.Client(base_url=home.base, trust_env=False, timeout=60, headers=headers) as http:

            def ready() -> bool:
                try:
                    return http.get("/healthz").status_code == 200
                except httpx2.TransportError:
                    return False

            wait_until(ready, 60, home.lines)

            def send(number: int) -> int:
                path, content = ("/sms/notification", SMS) if number % 2 else ("/email/notification", EMAIL)
                answer = http.post(path, json={"notification": content})
                assert answer.json() if answer.status_code == 201 else "Exceeded" in answer.json()["error"]
                return answer.status_code

            with ThreadPoolExecutor(SENDERS) as threads:
                assert Counter(threads.map(send, range(2 * LIMIT))) == {201: LIMIT, 429: LIMIT}
            assert len(http.get("/notifications").json()["notifications"]) == LIMIT
