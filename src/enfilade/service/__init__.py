"""What an implementation may take: `from enfilade.service import Row, Table, Topic, atomic, ...`.

find      the implementation beside its contract
inject    what its constructor asks for, by type
host      the end of the row: the user's method is called
pools     threads and processes for what would stop the event loop
"""

from enfilade.call import acting as acting
from enfilade.call import current as current
from enfilade.call import deadline as deadline
from enfilade.call import new_id as new_id
from enfilade.clock import Clock as Clock
from enfilade.contract.marks import Encrypted as Encrypted
from enfilade.contract.marks import Index as Index
from enfilade.contract.marks import Key as Key
from enfilade.contract.marks import Owned as Owned
from enfilade.contract.marks import Unique as Unique
from enfilade.contract.marks import Version as Version
from enfilade.errors import Stale as Stale
from enfilade.errors import Taken as Taken
from enfilade.identity import Passwords as Passwords
from enfilade.identity import Sessions as Sessions
from enfilade.outbound import Answered as Answered
from enfilade.outbound import Blocked as Blocked
from enfilade.outbound import Http as Http
from enfilade.secrets import Secret as Secret
from enfilade.service.pools import Processes as Processes
from enfilade.service.pools import Threads as Threads
from enfilade.settings import Settings as Settings
from enfilade.store import Database as Database
from enfilade.store import Row as Row
from enfilade.store import Table as Table
from enfilade.store import atomic as atomic
from enfilade.store import where as where
from enfilade.store.blobs import Blobs as Blobs
from enfilade.topic import Topic as Topic
from enfilade.topic import every as every
from enfilade.topic import on as on

__all__ = [
    "Answered",
    "Blobs",
    "Blocked",
    "Clock",
    "Database",
    "Encrypted",
    "Http",
    "Index",
    "Key",
    "Owned",
    "Passwords",
    "Processes",
    "Row",
    "Secret",
    "Sessions",
    "Settings",
    "Stale",
    "Table",
    "Taken",
    "Threads",
    "Topic",
    "Unique",
    "Version",
    "acting",
    "atomic",
    "current",
    "deadline",
    "every",
    "new_id",
    "on",
    "where",
]
