"""HTTP/1.1 spoken by ourselves (RFC 9112): what `enfilade run` serves with, hosted by uvicorn's server.

door          what all connections of a server share: the endpoints behind it, and its limits
connection    one connection: requests are answered in their order, and nothing takes longer than it may
reader        bytes become requests
target        a request's first line: which path is asked for
exchange      one request: its body as it comes
answer        its answer as it goes: the head in one piece, the body whole or in parts
scope         the way to applications that speak ASGI
proxies       whom to believe about the client's address
listen        a listener of our own, without uvicorn
"""

from __future__ import annotations

from enfilade.endpoint.http1.connection import Connection as Connection
from enfilade.endpoint.http1.door import Door as Door
from enfilade.endpoint.http1.door import Limits as Limits
from enfilade.endpoint.http1.listen import bound as bound
from enfilade.endpoint.http1.listen import listening as listening
from enfilade.endpoint.http1.proxies import Forwarded as Forwarded
from enfilade.endpoint.http1.proxies import OurEdge as OurEdge
from enfilade.endpoint.http1.proxies import Proxies as Proxies
