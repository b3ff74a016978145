"""REST: every contract's routes over HTTP. A request's way, a page each:

endpoint      rest(...): the endpoint as a value; which exchange a request is for
routes        which route a path leads to
exchange      one operation: a request becomes a call, passes the row, and its result goes out
binding       a request becomes arguments: `arguments` of its head, `body` and `upload` of its body
reply         a result becomes an answer: `conditional`, `links`, `negotiate`; `ranges` for files, `events` for streams
problems      every failure becomes a problem document
cors          pages of other origins
system        health, metrics, and the description: `openapi` with `schemas` and `responses`, `docs` for people
"""

from __future__ import annotations

from enfilade.endpoint.rest.cors import Cors as Cors
from enfilade.endpoint.rest.endpoint import Rest as Rest
from enfilade.endpoint.rest.endpoint import rest as rest
from enfilade.endpoint.rest.problems import ProblemDocument as ProblemDocument
