"""`/v1/drain`."""

from __future__ import annotations

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from pypackager.control.drains import Drains
from pypackager.control.operations import Operation
from pypackager.control.rest.bodies import NewDrain
from pypackager.control.rest.replies import accepted

TheDrains = NamedDependency[Drains]


@post("/v1/drain", summary="Disconnect encoders, one side after the other", tags=["Channels"], status_code=202)
async def begin_drain(drains: TheDrains, data: JSONBody[NewDrain]) -> Response[Operation]:
    """They may come back at once. The operation's `result` says what was closed, and which streams did not come back in time."""
    return accepted(drains.begin(data.channel, data.sides, data.wait))
