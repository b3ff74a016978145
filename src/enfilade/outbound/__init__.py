"""Every call that leaves the process for somebody else's.

http.py       the one client: traced, bounded in time and size, never in a unit of work
reach.py      where it may go
addresses.py  which addresses are the public's, and which are somebody's own
pinned.py     connects to the address that was checked, and to no other
"""

from enfilade.outbound.http import Answered as Answered
from enfilade.outbound.http import Http as Http
from enfilade.outbound.http import HttpAnswer as HttpAnswer
from enfilade.outbound.pinned import Pinned as Pinned
from enfilade.outbound.reach import Blocked as Blocked
from enfilade.outbound.reach import Reach as Reach
