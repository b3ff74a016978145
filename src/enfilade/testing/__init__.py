"""Tests of services and of whole apps, through the real row, on SQLite in memory and on time that you move.

    async with Bench(OrdersService).given(Catalog).by(OneProduct()) as bench:
        ann = bench.acting("ann", scopes=["orders:write"])

        order = await ann.of(Orders).place("tea", 2)

        assert bench.said(OrderPlaced) == (OrderPlaced(order=order),)

`Bench` is one service with fakes for its neighbours, `Stage` a whole app. Both pass every call through identity, needs,
meters, the codec and the unit of work, as in production. Background work stands still until `settle()` or `advance()`.
The same test runs in each shape: in one process, or in several.

stage     a whole app under test
bench     one service under test
callers   those who call, and the places of fakes
shape     the shapes, and which one holds
scene     the processes of a stage: their calls, their events, and their one time
book      what was said
part      a process as the test moves it, and the contract of that
play      what is to be started, whatever the shape
whole     the shapes plain and codec: one process
apart     the shape rpc: several that meet over sockets, in the process of the test
split     the shape split: several that are forked for the test
started   one of them, as the test has it
told      what it is told, and the app in it
child     what it does
gate      the way of HTTP to all of them: by the edge, or to the front
count     how many calls are under way
spoken    the secrets of a test
parity    a project's tests in every shape, and what differs
report    what becomes of each test, for that
"""

from __future__ import annotations

from enfilade.testing.bench import Bench as Bench
from enfilade.testing.callers import Caller as Caller
from enfilade.testing.callers import Given as Given
from enfilade.testing.shape import SHAPES as SHAPES
from enfilade.testing.shape import Shape as Shape
from enfilade.testing.stage import Stage as Stage
