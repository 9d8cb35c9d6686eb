"""From the pump's events to the channels' timelines: who may push, where it goes, what is answered.

Events are handled in batches; each channel that got something moves its published edge once per batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from pypackager._core import (
    BodyEnd,
    ChunkReady,
    Closed,
    ConnectRequested,
    CoreError,
    Given,
    NeedClock,
    Proxies,
    PublishEnded,
    PublishRequested,
    PumpEvent,
    Request,
    SignalReady,
    SignalsFound,
    TrackFound,
    Warned,
)
from pypackager.ingest.admission import check, refuse
from pypackager.ingest.connection import Connection
from pypackager.ingest.credentials import Gate
from pypackager.ingest.ports import Answers, Elsewhere, Intake, Log
from pypackager.ingest.urls import Target, host_of, host_of_url, parse_http_target, parse_rtmp_target
from pypackager.model.errors import PackagerError
from pypackager.model.news import Tell, silent
from pypackager.model.side import Side

CLOCK_BITS = 32
"""Room for a channel's clocks in the numbers that the pump knows them by."""


class Router:
    """Routes the pump's events to channels.

    Args:
        pump: takes the answers.
        channels: the channels by name.
        log: one line per connection and refusal.
        refused: counts a refusal by its code.
        failed: why a channel could not be opened, by name.
        gate: knows users.
        owner: the channel that has a host name.
        tell: tells of encoders that begin and end.
        proxies: those that are believed about an encoder's address; None: nobody.
        elsewhere: other processes and their channels; None: there are none.
    """

    def __init__(
        self,
        pump: Answers,
        channels: Mapping[str, Intake],
        log: Log,
        refused: Callable[[str], None],
        failed: Mapping[str, str],
        gate: Gate,
        owner: Callable[[str], str | None],
        tell: Tell = silent,
        proxies: Proxies | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._pump = pump
        self._proxies = proxies or Proxies([])
        self._channels = channels
        self._log = log
        self._refused = refused
        self._failed = failed
        self._gate = gate
        self._owner = owner
        self._tell = tell
        self._elsewhere = elsewhere
        self._numbers: dict[str, int] = {}
        self.connections: dict[int, Connection] = {}

    def admitted(self, conn: int, peer: str, protocol: str) -> None:
        """The pump took over an accepted socket."""
        self.connections[conn] = Connection(conn, peer, protocol, socket=peer)

    def handle(self, events: Sequence[PumpEvent]) -> None:
        """Handles one batch."""
        touched: dict[int, Intake] = {}
        announced: dict[int, Connection] = {}
        for event in events:
            connection = self.connections.get(event.conn) or self._further(event)
            if connection is None:
                continue
            self._guard(connection, type(event).__name__, partial(self._handle, connection, event))
            if isinstance(event, TrackFound):
                announced[event.conn] = connection
            if connection.channel is not None:
                touched[id(connection.channel)] = connection.channel
        for connection in announced.values():
            # What stands in one header comes in one batch: only then it is plain what each track is called.
            if connection.channel is not None:
                self._guard(connection, "admit", partial(connection.channel.admit, connection.conn))
        for channel in touched.values():
            channel.advance()

    def _further(self, event: PumpEvent) -> Connection | None:
        """A further publish of a connection: it comes from the same peer, who is the same user."""
        parent = self.connections.get(event.parent or 0) if isinstance(event, PublishRequested) else None
        if parent is None:
            return None
        further = Connection(event.conn, parent.peer, parent.protocol, socket=parent.socket, seal=parent.seal, parent=parent.conn)
        self.connections[event.conn] = further
        return further

    def _guard(self, connection: Connection, what: str, act: Callable[[], None]) -> None:
        """Does something for a connection; a fault is the end of that connection alone."""
        try:
            act()
        except (PackagerError, CoreError) as error:
            self._refuse(connection, error)
        except Exception as error:  # noqa: BLE001 (whatever one connection's bytes bring to light must not end the others)
            self._log.exception("fault", conn=connection.conn, on=what)
            self._refuse(connection, PackagerError("INTERNAL", type(error).__name__, status=500, fault="us"))

    @property
    def ending(self) -> bool:
        """Whether a complete body waits for its answer."""
        return any(connection.ending and connection.channel is not None for connection in self.connections.values())

    def settle(self) -> None:
        """Answers the POSTs whose last fragment the writer has answered for: what is acknowledged is stored."""
        for connection in self.connections.values():
            channel = connection.channel
            if not connection.ending or channel is None or not channel.settled(connection.conn):
                continue
            connection.ending = False
            if channel.lost(connection.conn):
                detail = "the disk did not take all fragments of the body"
                self._refuse(connection, PackagerError("DISK_WRITE_FAILED", detail, status=507, fault="operator"))
            else:
                self._leave(connection)
                channel.advance()
                self._pump.respond(connection.conn, 200, "text/plain", b"", [], connection.drained)

    def _handle(self, connection: Connection, event: PumpEvent) -> None:
        channel = connection.channel
        if isinstance(event, ChunkReady):
            if channel is not None:
                channel.chunk(event.conn, event.chunk)
        elif isinstance(event, TrackFound):
            if channel is not None:
                channel.track_found(event.conn, event.header)
                header = event.header
                self._log.info("track", conn=event.conn, kind=header.kind, codec=header.codec, name=header.name, bitrate=header.bitrate)
        elif isinstance(event, SignalsFound):
            if channel is not None:
                channel.signals_found(event.conn, event)
                self._log.info("signals", conn=event.conn, name=event.name, parent=event.parent, scheme=event.scheme)
        elif isinstance(event, SignalReady):
            if channel is not None:
                channel.signal(event.conn, event)
        elif isinstance(event, NeedClock):
            if channel is not None:
                self._bind(connection, channel.place(event.conn, event.time, event.timescale))
        elif isinstance(event, Request):
            self._request(connection, event)
        elif isinstance(event, ConnectRequested):
            self._greet(connection, event)
        elif isinstance(event, PublishRequested):
            self._enter(connection, self._published(connection, event), event.encoder)
        elif isinstance(event, BodyEnd):
            connection.ending = True
            if channel is not None:
                channel.complete(event.conn)
            self.settle()
        elif isinstance(event, PublishEnded):
            self._leave(connection)
            if event.code:
                self._log.warning("ended", conn=event.conn, code=event.code, detail=event.detail, **connection.where)
            if channel is not None:
                if event.code:
                    channel.alert(event.code, event.detail)
                channel.advance()
        elif isinstance(event, Warned):
            where = connection.where
            self._log.warning("ingest", conn=event.conn, code=event.code, detail=event.detail, offset=event.offset, **where)
            if channel is not None:
                channel.alert(event.code, event.detail)
        elif isinstance(event, Given):
            self._given(connection, event)
        else:
            self._closed(connection, event)

    def _bind(self, connection: Connection, clock: int) -> None:
        # Each channel counts its clocks from zero; for the pump, connections on one clock are of one encoder and are cut together.
        name = connection.target.channel if connection.target is not None else ""
        number = self._numbers.setdefault(name, len(self._numbers))
        self._pump.bind(connection.conn, (number << CLOCK_BITS) + clock)

    def _request(self, connection: Connection, request: Request) -> None:
        # A proxy may send the requests of several encoders over one connection.
        told = [value for name, value in request.headers if name == self._proxies.header]
        connection.peer = self._proxies.viewer(connection.socket, told)
        if request.method not in ("POST", "PUT"):
            raise PackagerError("METHOD_NOT_ALLOWED", f"{request.method} on an ingest URL; encoders POST", status=405)
        agent = next((value for name, value in request.headers if name.lower() == "user-agent"), "")
        host = next((value for name, value in request.headers if name == "host"), "")
        self._enter(connection, parse_http_target(request.target, self._owner(host_of(host))), agent, request)

    def _published(self, connection: Connection, event: PublishRequested) -> Target:
        """What is to be published. All publishes of a connection are of one channel: what they hold is counted together."""
        target = parse_rtmp_target(event.app, event.stream, event.query, self._owner(host_of_url(event.tc_url)))
        for other in self._sharing(connection):
            if other.channel is not None and other.target is not None and other.target.channel != target.channel:
                detail = f"the connection publishes to channel {other.target.channel} already: one channel a connection"
                raise PackagerError("PUBLISH_OTHER_CHANNEL", detail, status=400)
        return target

    def _sharing(self, connection: Connection) -> list[Connection]:
        """The others that share its socket."""
        root = connection.parent or connection.conn
        return [each for each in self.connections.values() if root in (each.parent, each.conn) and each is not connection]

    def _greet(self, connection: Connection, event: ConnectRequested) -> None:
        """Asks who it is where the application is a channel's that has users: encoders say so in their connect alone."""
        name = self._owner(host_of_url(event.tc_url)) or event.app.strip("/").partition("/")[0]
        if self._goes(connection, name):
            return
        channel = self._channels.get(name)
        if channel is not None and channel.users and channel.admits(connection.peer):
            connection.seal = self._gate.identify_connect(name, channel.users, event.query)
        # Whether it may push is for its publish, which names the stream.
        self._pump.accept(connection.conn, None)

    def _enter(self, connection: Connection, target: Target, agent: str, request: Request | None = None) -> None:
        if self._goes(connection, target.channel):
            return
        channel = self._channels.get(target.channel)
        if channel is None and target.channel in self._failed:
            raise PackagerError("CHANNEL_FAILED", f"channel {target.channel}: {self._failed[target.channel]}", status=503, fault="operator")
        if channel is None:
            raise PackagerError("CHANNEL_NOT_FOUND", f"there is no channel {target.channel[:64]!r}", status=404)
        wanted = "rtmp" if connection.protocol == "rtmp" else "fmp4"
        if channel.protocol != wanted:
            raise PackagerError("WRONG_PROTOCOL", f"channel {target.channel} takes {channel.protocol}, not {wanted}", status=400)
        check(self._gate, connection, channel, target, request)
        self._leave(connection)
        connection.ending = False
        connection.target, connection.channel = target, channel
        channel.open_feed(connection.conn, target.side, target.stream)
        self._pump.accept(connection.conn, channel.budget)
        self._log.info(
            "push", conn=connection.conn, peer=connection.peer, channel=target.channel, side=target.side, stream=target.stream, agent=agent
        )
        self._publish(connection, target, "begun")

    def _goes(self, connection: Connection, channel: str) -> bool:
        """Whether a connection goes to another process, which has the channel; it is that one which decides."""
        if self._elsewhere is None or channel in self._channels or not self._elsewhere.has(channel):
            return False
        if connection.parent is not None:
            detail = f"channel {channel} has a worker of its own: push to it over another connection"
            raise PackagerError("PUBLISH_OTHER_CHANNEL", detail, status=400)
        connection.leaving = channel
        self._pump.give(connection.conn)
        return True

    def _given(self, connection: Connection, event: Given) -> None:
        del self.connections[connection.conn]
        if self._elsewhere is not None:
            self._elsewhere.send(event, connection.leaving, connection.socket)

    def review(self) -> None:
        """Ends the connections that their channel takes no longer: it was stopped, or its allow-list has changed."""
        for connection in list(self.connections.values()):
            self._guard(connection, "review", partial(self._review, connection))

    def drain(self, channel: str, side: Side) -> int:
        """Has all connections of a side come back on others; gives their number. What they sent is taken until they are closed."""
        left = [each for each in self.connections.values() if each.target and (each.target.channel, each.target.side) == (channel, side)]
        for connection in left:
            connection.drained = True
            if connection.channel is None:
                # Between two requests; a connection whose other publishes go on ends with the last of them.
                if not self._sharing(connection):
                    self._pump.close(connection.conn)
            elif not connection.ending:
                again = PackagerError("DRAINED", "a planned disconnect: connect again", status=503, fault="operator")
                refuse(self._pump, connection, again)
            self._log.info("drained", conn=connection.conn, side=side, **connection.where)
        return len(left)

    def _review(self, connection: Connection) -> None:
        channel, target = connection.channel, connection.target
        if channel is None or target is None:
            return
        try:
            check(self._gate, connection, channel, target)
        except PackagerError:
            # The operator's will is no alert of the channel.
            self._leave(connection)
            # A stop may have waited for nothing but this.
            channel.advance()
            raise

    def _leave(self, connection: Connection) -> None:
        if connection.channel is not None:
            connection.channel.close_feed(connection.conn)
            connection.channel = None
            if connection.target is not None:
                self._publish(connection, connection.target, "ended")

    def _publish(self, connection: Connection, target: Target, change: str) -> None:
        where = {"side": target.side, "stream": target.stream, "peer": connection.peer}
        self._tell("publish", f"channels/{target.channel}", change=change, **where)

    def _closed(self, connection: Connection, event: Closed) -> None:
        channel = connection.channel
        self._leave(connection)
        del self.connections[connection.conn]
        where = connection.where
        if event.code:
            self._log.warning("closed", conn=event.conn, code=event.code, detail=event.detail, bytes=event.bytes_received, **where)
            if channel is not None:
                channel.alert(event.code, event.detail)
        else:
            self._log.info("closed", conn=event.conn, bytes=event.bytes_received, **where)
        if channel is not None:
            channel.advance()

    def _refuse(self, connection: Connection, error: PackagerError | CoreError) -> None:
        where = connection.where
        # A challenge is no fault: encoders that know their user ask for one.
        say = self._log.info if error.status == 401 else self._log.warning
        say("refused", conn=connection.conn, peer=connection.peer, code=error.code, detail=error.detail, status=error.status, **where)
        self._refused(error.code)
        if (channel := connection.channel) is not None:
            channel.alert(error.code, error.detail)
            self._leave(connection)
            # A stop or reset may have waited for nothing but this.
            channel.advance()
        refuse(self._pump, connection, error)
