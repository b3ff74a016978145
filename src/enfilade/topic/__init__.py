"""Events between services: said with the rows they belong to, heard at least once, effectively once per service.

topic       Topic.publish: an event into the outbox of the open unit of work
handlers    @on, @every: which methods hear and which run by the clock
relay       outbox -> transport, in order for each key
transport   how entries get from one service's outbox to the inboxes of those that hear them
dispatch    inbox -> handler, with retry, order and dead letters
"""

from __future__ import annotations

from enfilade.topic.handlers import Heard as Heard
from enfilade.topic.handlers import Scheduled as Scheduled
from enfilade.topic.handlers import every as every
from enfilade.topic.handlers import handlers_of as handlers_of
from enfilade.topic.handlers import on as on
from enfilade.topic.handlers import operation_for as operation_for
from enfilade.topic.handlers import schedules_of as schedules_of
from enfilade.topic.topic import Topic as Topic
