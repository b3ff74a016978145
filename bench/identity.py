"""What it costs to know who calls: a token that was seen before, and one that is seen first, against joserfc alone.

CPU of the one thread, in microseconds a token; the sides take turns, and each has its least of the rounds. Alone means
its `decode` and nothing else: the signature and the JSON, by a key that is at hand, and not one claim looked at.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))

from claims import Claim, tell
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from enfilade.clock import SystemClock, make_id
from enfilade.identity import Issuer, Revoked, Verifier
from enfilade.identity.revoked import Marks, Revocations

ROUNDS = 15
COUNT = 300
AGAIN = 20_000

CLOCK = SystemClock()
RSA = RSAKey.generate_key(2048, {"kid": "rsa-1"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1"})
ISSUER = Issuer(url="https://id.example", audience="shop", keys=(RSA.as_dict(private=False), EC.as_dict(private=False)))


def tokens(key: RSAKey | ECKey, algorithm: str) -> list[str]:
    """As a provider makes them, each another."""
    now = int(CLOCK.now().timestamp())
    header = {"alg": algorithm, "typ": "at+jwt", "kid": key.kid}
    return [
        jwt.encode(
            header,
            {
                "iss": ISSUER.url, "sub": "acc_01j9x0c4e8v7kq3m5n2p6r8t", "aud": "shop", "iat": now, "exp": now + 3600,
                "jti": make_id(CLOCK, "tok"), "client_id": "web", "scope": "orders:read orders:write",
                "roles": ["customer"], "auth_time": now, "tenant": "acme", "sid": make_id(CLOCK, "ses"),
            },
            key, algorithms=[algorithm],
        )
        for _ in range(COUNT)
    ]  # fmt: skip


def alone(given: Sequence[str], key: RSAKey | ECKey, algorithm: str) -> Callable[[], Awaitable[None]]:
    async def side() -> None:
        for token in given:
            jwt.decode(token, key, algorithms=[algorithm])

    return side


def first(given: Sequence[str]) -> Callable[[], Awaitable[None]]:
    async def side() -> None:
        verifier = Verifier([ISSUER], CLOCK)
        for token in given:
            await verifier.verify(token)

    return side


async def measure() -> dict[str, float]:
    rsa, ec = tokens(RSA, "RS256"), tokens(EC, "ES256")
    verifier = Verifier([ISSUER], CLOCK)
    for token in rsa:
        await verifier.verify(token)
    verifier.deny(Revoked(issuer=ISSUER.url, by="sub", value="somebody else", until=9e9))
    token = rsa[7]
    revocations = Revocations(CLOCK)
    for number in range(50_000):
        revocations.add(Revoked(issuer=ISSUER.url, by="sid", value=f"ses_{number}", until=9e9))
    marks = Marks(ISSUER.url, "acc_1", "tok_1", "ses_x", 1e9)

    async def again() -> None:
        for _ in range(AGAIN):
            verifier.recall(token)

    async def denied() -> None:
        for _ in range(AGAIN):
            revocations.has(marks)

    sides: dict[str, tuple[Callable[[], Awaitable[None]], int]] = {
        "again": (again, AGAIN),
        "denied": (denied, AGAIN),
        "rsa": (first(rsa), COUNT),
        "rsa alone": (alone(rsa, RSA, "RS256"), COUNT),
        "ec": (first(ec), COUNT),
        "ec alone": (alone(ec, EC, "ES256"), COUNT),
    }
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(ROUNDS):
        for name, (side, count) in sides.items():
            start = time.thread_time()
            await side()
            best[name] = min(best[name], (time.thread_time() - start) / count * 1e6)
    return best


def main() -> None:
    best = asyncio.run(measure())
    tell(
        [
            Claim("a verified token seen again", best["again"], "us CPU", "<= 2"),
            Claim("RS256 seen first, over joserfc alone", best["rsa"] / best["rsa alone"], "times", "<= 1.5"),
            Claim("the same", best["rsa"], "us CPU", ""),
            Claim("joserfc alone", best["rsa alone"], "us CPU", ""),
            Claim("ES256 seen first, over joserfc alone", best["ec"] / best["ec alone"], "times", "<= 1.5"),
            Claim("the same", best["ec"], "us CPU", ""),
            Claim("of which: was it taken back, among 50,000 that were", best["denied"], "us CPU", ""),
        ]
    )


main()
