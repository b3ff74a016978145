"""Who calls: the `Authorization` field becomes the call's caller, or a refusal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from enfilade.call import Call, Handler, Principal, Station
from enfilade.contract.operation import Operation
from enfilade.errors import Unauthenticated
from enfilade.identity import Verifier

Resolver: TypeAlias = Callable[[str], Awaitable[Principal | None]]
"""Another way to know who calls: is given the whole `Authorization` field, answers None where it is not its kind."""

_BEARER = "bearer "


def identity(verifier: Verifier, resolvers: Sequence[Resolver] = ()) -> Station:
    """Verifies what the call came with. Nothing leaves the caller unknown; anything bad is 401, even for `anyone`.

    Bearer tokens are the verifier's alone; every other scheme is offered to the resolvers in turn. Calls between
    services carry a caller and no credentials, and pass.
    """
    recall = verifier.recall

    async def known(credentials: str) -> Principal:
        if credentials[:7].lower() == _BEARER:
            return await verifier.verify(credentials[7:].strip(" "))
        for resolve in resolvers:
            principal = await resolve(credentials)
            if principal is not None:
                return principal
        raise Unauthenticated(detail="Credentials of this scheme are not known here; send `Authorization: Bearer ...`.")

    def station(_: Operation, handler: Handler) -> Handler:
        async def ask(call: Call) -> object:
            call.caller = caller = await known(call.credentials)
            call.tenant = caller.tenant
            return await handler(call)

        def identified(call: Call) -> Awaitable[object]:
            credentials = call.credentials
            if not credentials:
                return handler(call)
            caller = recall(credentials[7:]) if credentials[:7] == "Bearer " else None
            if caller is None:
                return ask(call)
            call.caller = caller
            call.tenant = caller.tenant
            return handler(call)

        return identified

    return station
