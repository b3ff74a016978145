"""Secrets: asked for by name, read late, shown nowhere.

secret   what a service has in its hands: a name, and `await reveal()`
source   where values come from: the port, and the app's sources in their order
plain    variables of the environment, and mounted files
age      a file in the repository, encrypted with age
vault    OpenBao or Vault: values, and credentials that are leased
kept     files that are whole and private
seal     what is stored sealed: under the app's own secret, or under data keys that rotate
"""

from enfilade.secrets.secret import Revealed as Revealed
from enfilade.secrets.secret import Secret as Secret
from enfilade.secrets.source import Secrets as Secrets
from enfilade.secrets.source import Source as Source
from enfilade.secrets.source import Unreadable as Unreadable
