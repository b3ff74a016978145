"""Which services share a process: arrangements, what holds in them, and the supervisor that runs them.

arrangement   what plan.toml may say
layout        an arrangement with nothing left open
edge          what may be said of the edge, and of what is not ours behind it
vary          variants: processes that serve what another one serves, too
survey        a plan in force: the layout, and what the app's services are to one another
shown         plans for people: what holds and what said so, and how two differ
share         what each process is told of the others
beyond        routes to what is not ours
border        the edge of an app, made of its contracts and of where its processes are
hosts         which processes run here, and where those of other hosts are reached
joining       how another host gets its certificates
servers       databases and brokers that a plan runs itself, from a wheel or a path
sockets       where the processes meet
supervisor    starts, watches and stops the children, by stages
child         one process under supervision
nursery       where processes of ours are forked from
leash         holds a program that is not ours
line          the line between a process of ours and its supervisor
output        what all of them write, as one stream

change        how a plan changes: each gives another plan
force         the plan in force: the plan that was started, and what was changed since
control       how an operator changes it: a contract, at a socket of the supervisor
steer         brings changes about, one at a time
release       a new version beside the old one, with more and more of its calls
watch         whether it does worse
build         what it is
gate          who could not use it
checkout      where its code is
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from enfilade.plan.arrangement import FREE as FREE
from enfilade.plan.arrangement import read_file as read_file
from enfilade.plan.child import Child as Child
from enfilade.plan.child import Patience as Patience
from enfilade.plan.child import Program as Program
from enfilade.plan.layout import Layout as Layout
from enfilade.plan.layout import lay_out as lay_out
from enfilade.plan.output import Output as Output
from enfilade.plan.supervisor import Stopped as Stopped
from enfilade.plan.supervisor import Supervisor as Supervisor

if TYPE_CHECKING:
    from enfilade.plan.survey import Plan as Plan
    from enfilade.plan.survey import plan_of as plan_of


def __getattr__(name: str) -> Any:
    """What needs the whole platform is loaded when it is asked for: a supervisor has its nursery begin before."""
    if name in ("Plan", "plan_of"):
        from enfilade.plan import survey

        return getattr(survey, name)
    raise AttributeError(f"enfilade.plan has no {name}")
