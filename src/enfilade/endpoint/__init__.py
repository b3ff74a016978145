"""Ways in: what an app can be reached by.

rest     HTTP and JSON, from the contracts' routes; `Cors` and `ProblemDocument` are for its options
local    calls within the process
openid   the addresses of the app's own OpenID provider
remote   contracts that are served elsewhere
"""

from __future__ import annotations

from enfilade.endpoint.openid.endpoint import openid as openid
from enfilade.endpoint.rest.cors import Cors as Cors
from enfilade.endpoint.rest.endpoint import rest as rest
from enfilade.endpoint.rest.problems import ProblemDocument as ProblemDocument
