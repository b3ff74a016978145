"""The app's own provider, as its own verifier believes it: an issuer like any other, whose keys are a call away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from enfilade.contract.codec import codec
from enfilade.identity.discovery import Fetch
from enfilade.identity.issuer import Issuer
from enfilade.identity.provider.contract import Provider
from enfilade.identity.provider.messages import KeySet
from enfilade.identity.provider.settings import ProviderSettings


@dataclass(frozen=True)
class Own:
    """The provider that this process serves."""

    settings: ProviderSettings
    provider: Callable[[], Provider]
    """A handle; there is one once the app is wired."""

    def issuer(self, audience: str) -> Issuer:
        """What the verifier is to know."""
        return Issuer(
            url=self.settings.issuer,
            audience=audience,
            jwks_url=self.keys,
            algorithms=("RS256", "PS256", "ES256", "Ed25519"),  # a key of before may be of another algorithm
            skew=0.0,
        )

    def fetch(self, others: Fetch) -> Fetch:
        """Answers for our own address by a call, and leaves the others to `others`."""

        async def fetch(url: str) -> bytes:
            if url != self.keys:
                return await others(url)
            return codec(KeySet).encode(await self.provider().keys())

        return fetch

    @property
    def keys(self) -> str:
        """Where it publishes its keys."""
        return f"{self.settings.issuer}/jwks.json"
