"""Who calls: what a request came with becomes the call's caller, or a refusal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from enfilade.call import Call, Handler, Principal, Station
from enfilade.contract.operation import Operation
from enfilade.errors import Unauthenticated
from enfilade.identity import Credentials, Resolver, Verifier

_BEARER: Final = "bearer "
_Ask: TypeAlias = Callable[[Call], Awaitable[Principal | None]]


def identity(verifier: Verifier, resolvers: Sequence[Resolver] = ()) -> Station:
    """Verifies what the call came with. Nothing leaves the caller unknown; anything bad is 401, even for `anyone`.

    Bearer tokens are the verifier's alone. Everything else is offered to the resolvers in turn: requests with another
    scheme, which one of them has to know, and requests without `Authorization`, which may have a cookie or a field.
    Calls between services carry a caller and no credentials, and pass.
    """
    recall = verifier.recall
    known, resolved = _asked(verifier, resolvers)

    async def ask(handler: Handler, call: Call, who: _Ask) -> object:
        caller = await who(call)
        if caller is not None:
            call.caller = caller
            call.tenant = caller.tenant
        return await handler(call)

    def station(_: Operation, handler: Handler) -> Handler:
        def identified(call: Call) -> Awaitable[object]:
            credentials = call.credentials
            if not credentials:
                return ask(handler, call, resolved) if resolvers and call.fields else handler(call)
            caller = recall(credentials[7:]) if credentials[:7] == "Bearer " else None
            if caller is None:
                return ask(handler, call, known)
            call.caller = caller
            call.tenant = caller.tenant
            return handler(call)

        return identified

    return station


def _asked(verifier: Verifier, resolvers: Sequence[Resolver]) -> tuple[_Ask, _Ask]:
    """Who calls, of a request with `Authorization` and of one without."""

    async def resolved(call: Call) -> Principal | None:
        credentials = Credentials(call)
        for resolve in resolvers:
            if (principal := await resolve(credentials)) is not None:
                return principal
        return None

    async def known(call: Call) -> Principal:
        credentials = call.credentials
        if credentials[:7].lower() == _BEARER:
            return await verifier.verify(credentials[7:].strip(" "))
        if (principal := await resolved(call)) is None:
            what = "Credentials of this scheme are not known here; send `Authorization: Bearer ...`."
            raise Unauthenticated(detail=what)
        return principal

    return known, resolved
