"""`/v1/streaming-endpoints`."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from pypackager.control.endpoints import Endpoints
from pypackager.control.operations import Operation
from pypackager.control.rest.bodies import NewEndpoint
from pypackager.control.rest.channels import After, Call, Changes, IfMatch, Limit, Told, host
from pypackager.control.rest.replies import accepted, made, tagged
from pypackager.control.rest.views import EndpointView, Page, endpoint_view, page
from pypackager.control.settings import EndpointSettings
from pypackager.control.states import EndpointState

TheEndpoints = NamedDependency[Endpoints]
In = Annotated[EndpointState | None, QueryParameter(name="state", description="Those in a state only")]


class StreamingEndpoints(Controller):
    """Streaming endpoints."""

    path = "/v1/streaming-endpoints"
    tags = ("Streaming endpoints",)

    @get(summary="Streaming endpoints")
    async def list(
        self, endpoints: TheEndpoints, request: Call, after: After = "", limit: Limit = 100, only: In = None
    ) -> Page[EndpointView]:
        """All endpoints, or those in a state."""
        known = endpoints.resources.endpoints
        here, following = page([name for name, each in known.items() if only in (None, endpoints.state(each))], after, limit)
        return Page([endpoint_view(endpoints, known[name], host(request)) for name in here], following)

    @post(summary="Create a streaming endpoint")
    async def create(self, endpoints: TheEndpoints, request: Call, data: JSONBody[NewEndpoint]) -> Response[EndpointView]:
        """It is Stopped. Its addresses are opened at once: preview and health answer there in every state."""
        settings = EndpointSettings(**{name: getattr(data, name) for name in EndpointSettings.__struct_fields__})
        endpoint = await endpoints.create(data.name, settings)
        return made(endpoint_view(endpoints, endpoint, host(request)), f"/v1/streaming-endpoints/{endpoint.name}")

    @get("/{endpoint:str}", summary="A streaming endpoint")
    async def show(self, endpoints: TheEndpoints, request: Call, endpoint: FromPath[str]) -> Response[EndpointView]:
        """With its state and its policy; the CDN's secret is not shown."""
        return tagged(endpoint_view(endpoints, endpoints.resources.endpoint(endpoint), host(request)))

    @patch("/{endpoint:str}", summary="Change settings")
    async def change(
        self, endpoints: TheEndpoints, request: Call, endpoint: FromPath[str], data: Changes, if_match: IfMatch = None
    ) -> Response[EndpointView]:
        """JSON merge patch (RFC 7396). `listen` and `tls` when it is Stopped, the rest at any time, for every viewer's next request."""
        changed = await endpoints.change(endpoint, data, if_match)
        return tagged(endpoint_view(endpoints, changed, host(request)))

    @delete("/{endpoint:str}", summary="Delete a streaming endpoint", status_code=204)
    async def delete(self, endpoints: TheEndpoints, endpoint: FromPath[str], if_match: IfMatch = None) -> None:
        """Only when it is Stopped, and never `default`. Its addresses are closed."""
        await endpoints.delete(endpoint, if_match)

    @post("/{endpoint:str}/{command:str}", summary="Start or stop a streaming endpoint", status_code=202)
    async def command(
        self, endpoints: TheEndpoints, endpoint: FromPath[str], command: FromPath[Told], if_match: IfMatch = None
    ) -> Response[Operation]:
        """Content streams from one that is Running; a stopped one answers 503 `ENDPOINT_STOPPED`."""
        return accepted(await endpoints.command(endpoint, "running" if command == "start" else "stopped", if_match))
