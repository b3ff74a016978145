"""The edge: Envoy before the services, rendered from their contracts.

model.py      what an edge is: where it listens, where services are, which routes lead there
contracts.py  the routes of a contract
table.py      routes become Envoy's route table, place by place
forward.py    where one route leads: shares, variants, mirrors, retries, times
who.py        who may call: tokens are verified, needs become rules
rates.py      how often: rates become local limits
answers.py    what the edge refuses by itself, as problem documents
cors.py       pages of other origins
listener.py   the way of a request through the filters
clusters.py   where services are reached, and when they are not
logs.py       access log, traces, numbers
render.py     all of it, as the files that Envoy watches or as one configuration to be checked
binary.py     where Envoy is, and what it says of a configuration
admin.py      what a running Envoy says of itself
gateway.py    an Envoy at work: started, changed and stopped without losing a request
"""

from enfilade.edge.binary import Rejected as Rejected
from enfilade.edge.binary import find as find
from enfilade.edge.binary import validate as validate
from enfilade.edge.contracts import pages as pages
from enfilade.edge.contracts import routes as routes
from enfilade.edge.gateway import Gateway as Gateway
from enfilade.edge.model import Certificate as Certificate
from enfilade.edge.model import Edge as Edge
from enfilade.edge.model import Listen as Listen
from enfilade.edge.model import Mirror as Mirror
from enfilade.edge.model import Route as Route
from enfilade.edge.model import Share as Share
from enfilade.edge.model import Upstream as Upstream
from enfilade.edge.model import Variant as Variant
from enfilade.edge.render import render as render
