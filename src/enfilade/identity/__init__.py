"""Who somebody is: whose tokens are believed, and what an app needs to let its own people in.

issuer.py     whose tokens are believed, as settings say it
discovery.py  where an issuer keeps its keys, as it says itself
jwks.py       the public keys of one issuer, as they are now
verify.py     a token becomes a principal, or 401; the only place that believes one
claims.py     what tokens say, wherever an issuer has it
revoked.py    tokens that were taken back
keys.py       the development issuer and its key file
tokens.py     tokens of the development issuer
credentials.py  what else a request may come with
sessions.py   sessions in a cookie
passwords.py  their passwords
people.py     the role of a service that knows people
provider/     an OpenID provider, as a service
users/        people that the platform keeps itself, as a service
workload/     certificates of the app's own processes, for calls between hosts
"""

from enfilade.identity.credentials import Credentials as Credentials
from enfilade.identity.credentials import Resolver as Resolver
from enfilade.identity.discovery import Fetch as Fetch
from enfilade.identity.issuer import Claims as Claims
from enfilade.identity.issuer import Issuer as Issuer
from enfilade.identity.keys import DevelopmentIssuer as DevelopmentIssuer
from enfilade.identity.passwords import Passwords as Passwords
from enfilade.identity.revoked import Revoked as Revoked
from enfilade.identity.sessions import Sessions as Sessions
from enfilade.identity.tokens import Tokens as Tokens
from enfilade.identity.verify import Verifier as Verifier
