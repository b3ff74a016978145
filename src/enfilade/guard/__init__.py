"""What stands between a call and a service: one station a file, in the order in which the app puts them in the row.

audit.py         who did what: one line for every command and every refusal; on disk by trail.py, see chain.py, proof.py
identity.py      who calls
needs.py         may he
policy.py        may he, as central policies see it
meters/          how often, and how much
deadline.py      how long
concurrency.py   how many at once
flow.py          how much of a stream
idempotency.py   again, or for the first time
raises.py        only declared problems leave

A station is given an operation and the next handler, once, when the app starts. What it has nothing to do for it gives
the next handler back, and costs nothing. What only looks before the call is a plain function that returns what the next
handler returns:

    def allowed(call: Call) -> Awaitable[object]:
        check(call)
        return handler(call)

The reply is awaited by whoever awaits the row, so the station stands in no traceback and makes no coroutine. Only one
that must do something afterwards is `async`: between two services of one process those are `raises`, for commands the
audit (where somebody listens), for keyed commands their idempotency, and the deadline where it is nearer than the
caller's.
"""

from enfilade.guard.audit import audit as audit
from enfilade.guard.concurrency import Bulkhead as Bulkhead
from enfilade.guard.deadline import deadline as deadline
from enfilade.guard.idempotency import idempotency as idempotency
from enfilade.guard.identity import identity as identity
from enfilade.guard.meters import Meters as Meters
from enfilade.guard.needs import Callers as Callers
from enfilade.guard.needs import needs as needs
from enfilade.guard.needs import rules as rules
from enfilade.guard.policy import Decide as Decide
from enfilade.guard.policy import Decision as Decision
from enfilade.guard.policy import Policy as Policy
from enfilade.guard.policy import policies as policies
from enfilade.guard.proof import Proof as Proof
from enfilade.guard.proof import prove as prove
from enfilade.guard.raises import Undeclared as Undeclared
from enfilade.guard.raises import raises as raises
from enfilade.guard.trail import Trail as Trail
