"""What a service keeps: rows, and what is stored with them in one unit of work.

row         Row: one type of rows
table       Table[Row]: get, lock, add, put, delete, find, count, page, each
where       conditions: SQL of the program's own, values always bound
database    SQL of the service's own, answered in messages
atomic      @atomic: the unit of work
blobs       bytes of files
outbox      events that commit with the rows; inbox: what is to be heard; records: idempotency
holder      which process holds a claim, and whether it has ended
counts      what was taken of quotas
migrate     what the rows say against what the database has
sqlite, postgres    the two engines
"""

from __future__ import annotations

from enfilade.contract.marks import Index as Index
from enfilade.contract.marks import Key as Key
from enfilade.contract.marks import Owned as Owned
from enfilade.contract.marks import Unique as Unique
from enfilade.contract.marks import Version as Version
from enfilade.errors import CheckFailed as CheckFailed
from enfilade.errors import Stale as Stale
from enfilade.errors import Taken as Taken
from enfilade.store.atomic import atomic as atomic
from enfilade.store.counts import Counts as Counts
from enfilade.store.counts import Window as Window
from enfilade.store.database import Database as Database
from enfilade.store.inbox import Dead as Dead
from enfilade.store.inbox import Delivery as Delivery
from enfilade.store.inbox import Inbox as Inbox
from enfilade.store.inbox import LeaseLost as LeaseLost
from enfilade.store.migrate import Change as Change
from enfilade.store.outbox import Entry as Entry
from enfilade.store.outbox import Outbox as Outbox
from enfilade.store.records import Record as Record
from enfilade.store.records import Records as Records
from enfilade.store.row import Row as Row
from enfilade.store.store import Store as Store
from enfilade.store.store import open_store as open_store
from enfilade.store.table import Table as Table
from enfilade.store.unit import refuse_in_unit as refuse_in_unit
from enfilade.store.where import Condition as Condition
from enfilade.store.where import where as where
