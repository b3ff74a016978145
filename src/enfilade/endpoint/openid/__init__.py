"""OpenID Connect and OAuth 2 over HTTP: the addresses of the app's own provider.

endpoint   openid(): the endpoint as a value; which address is for which operation
addresses  all that there are
forms      what is read of a request: parameters, credentials, the cookie
replies    what is answered: JSON as the standards have it, redirects, pages
pages      the pages that people see, without scripts and without anything from elsewhere
"""

from enfilade.endpoint.openid.addresses import addresses as addresses
from enfilade.endpoint.openid.endpoint import OpenId as OpenId
from enfilade.endpoint.openid.endpoint import openid as openid
