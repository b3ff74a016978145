"""Events between processes, by NATS JetStream: `events = "nats://host:4222"`.

wire      an event as a message: its subject and its headers, which others may read
link      the connection, and the streams
ear       what one service hears of one event, from the broker into its inbox
broker    the transport that is made of them
"""

from __future__ import annotations

from enfilade.topic.nats.broker import Nats as Nats
