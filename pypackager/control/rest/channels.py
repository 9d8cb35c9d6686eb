"""`/v1/channels` and what is below: channels and their programs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar import Controller, Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from pypackager.control.desk import Desk
from pypackager.control.operations import Operation
from pypackager.control.rest.bodies import NewChannel, NewProgram
from pypackager.control.rest.replies import accepted, made, tagged
from pypackager.control.rest.views import ChannelView, Page, ProgramView, channel_view, page, program_view
from pypackager.control.settings import ChannelSettings, ProgramSettings
from pypackager.control.states import ProgramState, State

TheDesk = NamedDependency[Desk]
Call = Request[Any, Any, Any]
IfMatch = Annotated[str | None, HeaderParameter(name="If-Match", description="Of the version that is to be changed; else 412")]
Of = Annotated[ProgramState | None, QueryParameter(name="state", description="Those in a state only")]
In = Annotated[State | None, QueryParameter(name="state", description="Those in a state only")]
Changes = JSONBody[dict[str, Any]]
Told = Literal["start", "stop"]
ToldChannel = Literal["start", "stop", "reset"]
After = Annotated[str, QueryParameter(description="Names behind this one: `next` of the page before")]
Limit = Annotated[int, QueryParameter(ge=1, le=1000, description="Items of a page")]


class Channels(Controller):
    """Channels."""

    path = "/v1/channels"
    tags = ("Channels",)

    @get(summary="Channels")
    async def list(self, desk: TheDesk, request: Call, after: After = "", limit: Limit = 100, only: In = None) -> Page[ChannelView]:
        """All channels, or those in a state."""
        names = [name for name in desk.resources.channels if only in (None, desk.runner.state(name))]
        here, following = page(names, after, limit)
        return Page([channel_view(desk, desk.resources.channels[name], host(request)) for name in here], following)

    @post(summary="Create a channel")
    async def create(self, desk: TheDesk, request: Call, data: JSONBody[NewChannel]) -> Response[ChannelView]:
        """It is Stopped."""
        settings = ChannelSettings(**{name: getattr(data, name) for name in ChannelSettings.__struct_fields__})
        channel = await desk.create_channel(data.name, settings)
        return made(channel_view(desk, channel, host(request)), f"/v1/channels/{channel.name}")

    @get("/{channel:str}", summary="A channel")
    async def show(self, desk: TheDesk, request: Call, channel: FromPath[str]) -> Response[ChannelView]:
        """With its URLs, which hold in every state, and how it is."""
        return tagged(channel_view(desk, desk.resources.channel(channel), host(request)))

    @patch("/{channel:str}", summary="Change settings")
    async def change(
        self, desk: TheDesk, request: Call, channel: FromPath[str], data: Changes, if_match: IfMatch = None
    ) -> Response[ChannelView]:
        """JSON merge patch (RFC 7396): null goes back to the default. Descriptions and allow-lists in Running too, the rest in Stopped."""
        changed = await desk.change_channel(channel, data, if_match)
        return tagged(channel_view(desk, changed, host(request)))

    @delete("/{channel:str}", summary="Delete a channel", status_code=202)
    async def delete(self, desk: TheDesk, channel: FromPath[str], if_match: IfMatch = None) -> Response[Operation]:
        """Only when it is Stopped and has no programs. Assets stay."""
        return accepted(await desk.command_channel(channel, "delete", if_match))

    @post("/{channel:str}/{command:str}", summary="Start, stop or reset a channel", status_code=202)
    async def command(
        self, desk: TheDesk, channel: FromPath[str], command: FromPath[ToldChannel], if_match: IfMatch = None
    ) -> Response[Operation]:
        """The operation has ended when the channel is Running, or Stopped. A reset forgets encoders and preview and keeps URLs."""
        return accepted(await desk.command_channel(channel, command, if_match))


class Programs(Controller):
    """Programs."""

    path = "/v1/channels/{channel:str}/programs"
    tags = ("Programs",)

    @get(summary="Programs of a channel")
    async def list(
        self, desk: TheDesk, channel: FromPath[str], after: After = "", limit: Limit = 100, only: Of = None
    ) -> Page[ProgramView]:
        """All programs, or those in a state."""
        desk.resources.channel(channel)
        programs = {each.name: each for each in desk.resources.of(channel) if only in (None, desk.program_state(each))}
        here, following = page(list(programs), after, limit)
        return Page([program_view(desk, programs[name]) for name in here], following)

    @post(summary="Create a program")
    async def create(self, desk: TheDesk, channel: FromPath[str], data: JSONBody[NewProgram]) -> Response[ProgramView]:
        """It is Stopped. `asset` names the asset that it records to; one that is there already goes on."""
        settings = ProgramSettings(**{name: getattr(data, name) for name in ProgramSettings.__struct_fields__})
        program = await desk.create_program(channel, data.name, data.asset or data.name, settings)
        return made(program_view(desk, program), f"/v1/channels/{channel}/programs/{program.name}")

    @get("/{program:str}", summary="A program")
    async def show(self, desk: TheDesk, channel: FromPath[str], program: FromPath[str]) -> Response[ProgramView]:
        """With its state and the paths that publish it."""
        return tagged(program_view(desk, desk.resources.program(channel, program)))

    @patch("/{program:str}", summary="Change settings")
    async def change(
        self, desk: TheDesk, channel: FromPath[str], program: FromPath[str], data: Changes, if_match: IfMatch = None
    ) -> Response[ProgramView]:
        """JSON merge patch (RFC 7396). The description at any time, the window when it is Stopped: it holds from the next start."""
        return tagged(program_view(desk, await desk.change_program(channel, program, data, if_match)))

    @delete("/{program:str}", summary="Delete a program", status_code=204)
    async def delete(self, desk: TheDesk, channel: FromPath[str], program: FromPath[str], if_match: IfMatch = None) -> None:
        """Only when it is Stopped. Its asset stays, and goes on being served."""
        await desk.delete_program(channel, program, if_match)

    @post("/{program:str}/{command:str}", summary="Start or stop a program", status_code=202)
    async def command(
        self, desk: TheDesk, channel: FromPath[str], program: FromPath[str], command: FromPath[Told], if_match: IfMatch = None
    ) -> Response[Operation]:
        """Start: it records from the next segment on. Stop: with all that the channel had taken, its asset is video on demand."""
        return accepted(await desk.command_program(channel, program, command, if_match))


def host(request: Call) -> str:
    """By which the client knows the daemon, without a port."""
    name = request.base_url.hostname or "127.0.0.1"
    return f"[{name}]" if ":" in name else name
