"""Who may push to a channel, and how it is said in the words of the protocol that somebody may not."""

from __future__ import annotations

import msgspec

from pypackager._core import CoreError, Request
from pypackager.ingest.connection import Connection
from pypackager.ingest.credentials import CredentialsError, Gate, missing, wrong
from pypackager.ingest.ports import Answers, Intake
from pypackager.ingest.urls import Target
from pypackager.model.errors import PackagerError

_FIELDS = {405: ("Allow", "POST, PUT"), 503: ("Retry-After", "2")}
"""What goes with a refusal by its status."""


def check(gate: Gate, connection: Connection, channel: Intake, target: Target, request: Request | None = None) -> None:
    """Whether a connection may push. What a request shows of its user is looked at; without one, what the connection showed.

    Raises:
        PackagerError: ADDRESS_NOT_ALLOWED, CREDENTIALS_WRONG, STREAM_KEY_WRONG (403), CREDENTIALS_MISSING (401), CHANNEL_NOT_RUNNING (503).
    """
    if not channel.admits(connection.peer):
        raise PackagerError("ADDRESS_NOT_ALLOWED", f"{connection.peer} is not in the channel's ingest_allow", status=403)
    if channel.users and request is not None:
        connection.seal = gate.identify(target.channel, channel.users, request)
    elif channel.users and not gate.holds(connection.seal, target.channel, channel.users):
        raise wrong() if connection.seal else missing()
    if not channel.unlocks(target.key):
        said = "is not the channel's" if target.key else "is missing: push to URL?key=KEY"
        raise PackagerError("STREAM_KEY_WRONG", f"the stream key {said}", status=403)
    if not channel.running:
        raise PackagerError("CHANNEL_NOT_RUNNING", f"channel {target.channel} is not running", status=503)


def refuse(pump: Answers, connection: Connection, error: PackagerError | CoreError) -> None:
    """Says what is wrong; the connection ends with it."""
    if connection.protocol == "rtmp":
        name = "NetStream.Publish.BadName" if error.status in (400, 404) else "NetStream.Publish.Denied"
        name = "NetConnection.Connect.Closed" if connection.drained else name
        texts = error.challenges if isinstance(error, CredentialsError) else ()
        pump.refuse(connection.conn, name, texts[0] if texts else f"{error.code}: {error.detail}")
        return
    problem = {"type": "about:blank", "title": error.code, "status": error.status, "code": error.code, "detail": error.detail}
    headers = [("WWW-Authenticate", each) for each in error.challenges] if isinstance(error, CredentialsError) else []
    headers += [_FIELDS[error.status]] if error.status in _FIELDS else []
    pump.respond(connection.conn, error.status, "application/problem+json", msgspec.json.encode(problem), headers, True)
