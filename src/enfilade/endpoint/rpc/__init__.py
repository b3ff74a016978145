"""Calls between processes: the Connect protocol over keep-alive HTTP/1.1, on Unix sockets or TCP.

messages      how an operation's messages are written: JSON or msgpack, bare or in envelopes
context       who calls, in whose trace, under which key, for how long: fields of a request, and back
back          what comes back beside an answer: fields for the caller's own, and what was spent
refusal       what went wrong: Connect's errors, with our problem documents in them
served        rpc(): the operations that are served in this process, for a listener of their own
exchange      one operation there: a request becomes a call, passes the row, and its result goes out
listen        listening(): that listener

asking        connect(contract, link): handlers that ask another process
flow          a stream on its way here
pulse         whether a peer is alive: one that is slow says so, one that hangs says nothing
agree         whether the contract there is one that we can use
link          Link: the replicas of a peer, what is asked again, and when nobody is asked
replica       one address: its connections, how many at once, and whether it is well
dial          how a connection is made
connection    one connection: a request at a time, an answer within its limits
"""

from __future__ import annotations

from enfilade.endpoint.rpc.agree import Incompatible as Incompatible
from enfilade.endpoint.rpc.asking import connect as connect
from enfilade.endpoint.rpc.link import Link as Link
from enfilade.endpoint.rpc.listen import listening as listening
from enfilade.endpoint.rpc.refusal import PeerFailed as PeerFailed
from enfilade.endpoint.rpc.served import Rpc as Rpc
from enfilade.endpoint.rpc.served import rpc as rpc
