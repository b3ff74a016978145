"""API keys: long-lived credentials for partners and devices, where an OAuth client is too much.

    App("shop", services=[ApiKeys, ...])

contract.py  what their owners and the platform may ask
service.py   keeps their digests
spelling.py  how a key is written
resolver.py  knows callers by their keys
"""

from enfilade.identity.apikeys.contract import ApiKeys as ApiKeys
