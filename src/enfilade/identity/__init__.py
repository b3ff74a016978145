"""Who somebody is: whose tokens are believed, and what an app needs to let its own people in.

issuer.py     whose tokens are believed, as settings say it
jwks.py       the public keys of one issuer, as they are now
verify.py     a token becomes a principal, or 401; the only place that believes one
keys.py       the development issuer and its key file
tokens.py     tokens for the app's own people
passwords.py  their passwords
"""

from enfilade.identity.issuer import Issuer as Issuer
from enfilade.identity.keys import DevelopmentIssuer as DevelopmentIssuer
from enfilade.identity.passwords import Passwords as Passwords
from enfilade.identity.tokens import Tokens as Tokens
from enfilade.identity.verify import Verifier as Verifier
