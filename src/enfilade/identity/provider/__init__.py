"""The OpenID provider: an ordinary service of the platform, for `services=[Provider, Users, ...]`.

contract   what it does: operations without routes, which `endpoint/openid` gives their addresses
messages   what is said to it and by it
settings   what an operator may say about it
service    its implementation: each part of it is one of the following
front      the browser: requests, signing in, consent      back      the token endpoint
device     devices without a browser (RFC 8628)            exchange  on behalf of somebody (RFC 8693)
granted    codes and refresh tokens, each good once        mint      tokens: made, and read again
ring       keys: next, current, retired                    clients   who may ask; `declared`, `assertion`, `register`
leaving    logout                                          throttle  wrong passwords
rows, seal what is kept, and how
"""

from enfilade.identity.provider.contract import Provider as Provider
from enfilade.identity.provider.settings import ProviderSettings as ProviderSettings
