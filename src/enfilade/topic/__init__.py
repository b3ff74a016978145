"""Events between services: said with the rows they belong to, heard at least once, in effect once per service.

topic       Topic.publish: an event into the outbox of the open unit of work
handlers    @on, @every: which methods hear, and which run by the clock
schedule    when a schedule is due; ticks: its turns, as timers
relay       outbox to transport, in order for each key
transport   how entries get from the service that said them to those who hear them; nats: between processes
dispatch    inbox to handlers; deliver: one delivery, with retry and dead letters
dead        dead letters as people may read them
consumer    a handler with the row of stations before it
messaging   all of it in one process: start, settle, stop
pace        the numbers
"""

from __future__ import annotations

from enfilade.topic.consumer import Consumer as Consumer
from enfilade.topic.consumer import consumers_of as consumers_of
from enfilade.topic.dead import readable as readable
from enfilade.topic.dispatch import Dispatcher as Dispatcher
from enfilade.topic.handlers import Heard as Heard
from enfilade.topic.handlers import Scheduled as Scheduled
from enfilade.topic.handlers import every as every
from enfilade.topic.handlers import handlers_of as handlers_of
from enfilade.topic.handlers import on as on
from enfilade.topic.handlers import operation_for as operation_for
from enfilade.topic.handlers import schedules_of as schedules_of
from enfilade.topic.messaging import Messaging as Messaging
from enfilade.topic.pace import Pace as Pace
from enfilade.topic.relay import Relay as Relay
from enfilade.topic.topic import Topic as Topic
from enfilade.topic.transport import Away as Away
from enfilade.topic.transport import Hearer as Hearer
from enfilade.topic.transport import Local as Local
from enfilade.topic.transport import Taker as Taker
from enfilade.topic.transport import Transport as Transport
