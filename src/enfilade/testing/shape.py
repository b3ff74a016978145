"""The shapes that a test runs in, without a change to it.

    plain   in one process, values as they are
    codec   in one process, values as a wire would have made them
    rpc     each service a process of its own in all but name: its own stores, joined by sockets, within the test's
    split   each service a process of its own; the test is one more, which serves its fakes

`Stage(app, shape="rpc")` says it for one stage, `ENFILADE_SHAPE=rpc` for all that do not.
"""

from __future__ import annotations

import os
from typing import Final, Literal, get_args

from enfilade.errors import Misuse

Shape = Literal["plain", "codec", "rpc", "split"]

SHAPES: Final[tuple[Shape, ...]] = get_args(Shape)
VARIABLE: Final = "ENFILADE_SHAPE"


def chosen(said: str | None) -> Shape | None:
    """The shape that is said here, or else by the variable; None where nobody says one. Raises Misuse."""
    where = "shape" if said else VARIABLE
    name = said or os.environ.get(VARIABLE, "")
    if not name:
        return None
    if name not in SHAPES:
        raise Misuse(f"{where}={name!r} is no shape of a test: say one of {', '.join(SHAPES)}.")
    return name
