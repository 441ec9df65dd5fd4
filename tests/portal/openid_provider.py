"""An OpenID provider that can be told to misbehave, which a real one cannot."""

import base64
import hashlib
import json
import threading
import time
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT_ID, CLIENT_SECRET = "carillon", "a-client-secret-of-the-provider"


@lru_cache(maxsize=1)
def _key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})


class OpenIdProvider:
    """Answers discovery, keys and codes; ``metadata``, ``claims``, ``header`` and ``key`` may be changed by a test."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self.published = _key()
        self.key: RSAKey | OctKey = self.published
        self.header = {"alg": "RS256", "kid": "one"}
        self.metadata: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            "authorization_response_iss_parameter_supported": True,
        }
        self.claims: dict[str, Any] = {}
        self.id_token: str | None = None
        self.refusal: dict[str, str] | None = None
        self.asked: list[dict[str, str]] = []
        self.challenge = ""

    def token(self, nonce: str) -> str:
        """Write the ID token of a sign-in."""
        if self.id_token is not None:
            return self.id_token
        now = int(time.time())  # Authlib checks tokens by the machine's clock
        standard = {"iss": self.issuer, "aud": CLIENT_ID, "sub": "ada-1", "iat": now, "exp": now + 300, "nonce": nonce}
        claims = {k: v for k, v in (standard | self.claims).items() if v is not None}
        return jwt.encode(self.header, claims, self.key, algorithms=[self.header["alg"]])

    def __enter__(self) -> "OpenIdProvider":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _redeem(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.asked.append(form)
        made = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if made.decode().rstrip("=") != self.challenge:
            return 400, {"error": "invalid_grant"}
        if self.refusal is not None:
            return 400, self.refusal
        # The test gives the nonce as the code, so that nothing has to be remembered here.
        return 200, {"access_token": "at", "token_type": "Bearer", "id_token": self.token(form["code"])}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/.well-known/openid-configuration":
                    self._answer(200, provider.metadata)
                elif self.path == "/jwks":
                    self._answer(200, {"keys": [provider.published.as_dict(private=False)]})
                else:
                    self._answer(404, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                self._answer(*provider._redeem(form | {"authorization": self.headers.get("authorization", "")}))

            def _answer(self, status: int, document: dict[str, Any]) -> None:
                raw = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
