"""OBS Studio on a virtual screen, with a profile of its own: the settings of docs/howto/encoders.md, made small.

In: where to publish. Out: a running OBS that streams by itself, and its remote control (obs-websocket 5) for a stop as a person makes it.
Colours only: nothing of the machine's screens, cameras or microphones goes in.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Message, Request

from tests.helpers.encoders import program
from tests.helpers.ports import free_port

SIZE = (640, 360)
FRAME_RATE = 30
_HELLO, _IDENTIFY, _IDENTIFIED, _REQUEST, _RESPONSE = 0, 1, 2, 6, 7
"""Operations of obs-websocket's protocol, version 5."""


@dataclass
class Obs:
    """A running OBS."""

    process: subprocess.Popen[bytes]
    control_port: int
    log_path: Path

    def log(self) -> str:
        """What it said."""
        return self.log_path.read_text(errors="replace")

    def stop_streaming(self) -> None:
        """What the button does: ends the publish in order. OBS goes on running."""
        with socket.create_connection(("127.0.0.1", self.control_port), timeout=5) as connection:
            control = _Control(connection)
            assert control.receive()["op"] == _HELLO
            control.send(_IDENTIFY, {"rpcVersion": 1, "eventSubscriptions": 0})
            assert control.receive()["op"] == _IDENTIFIED
            control.send(_REQUEST, {"requestType": "StopStream", "requestId": "stop"})
            answer = control.receive()
        assert answer["op"] == _RESPONSE, answer
        assert answer["d"]["requestStatus"]["result"], answer


@contextmanager
def streaming_obs(directory: Path, server: str, key: str, user: tuple[str, str] | None = None) -> Iterator[Obs]:
    """OBS that starts to stream as soon as it runs, and comes back a second after a lost connection.

    Args:
        directory: Where its profile and log go.
        server: The RTMP URL without the stream's name.
        key: The stream's name.
        user: Its name and password, where they are asked for.
    """
    obs, screen = program("obs", "obs-studio"), program("Xvfb", "xvfb")
    port = free_port()
    _write_profile(directory / "obs-studio", server, key, port, user)
    display, pipe = os.pipe()
    log_path = directory / "obs.log"
    with log_path.open("wb") as log:
        command = [screen, "-displayfd", str(pipe), "-screen", "0", "1024x768x24", "-nolisten", "tcp"]
        virtual = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[pipe])
        os.close(pipe)
        try:
            with os.fdopen(display) as number:
                name = f":{number.readline().strip()}"
            environment = {**os.environ, "DISPLAY": name, "LIBGL_ALWAYS_SOFTWARE": "1", "HOME": str(directory)}
            environment |= {"XDG_CONFIG_HOME": str(directory), "XDG_RUNTIME_DIR": str(directory), "XDG_SESSION_TYPE": "x11"}
            command = [obs, "--startstreaming", "--minimize-to-tray", "--multi", "--disable-updater"]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True)
            try:
                yield Obs(process, port, log_path)
            finally:
                # OBS 29 has no way to end from outside: it takes no signal.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        finally:
            virtual.terminate()
            virtual.wait()


def _write_profile(root: Path, server: str, key: str, port: int, user: tuple[str, str] | None) -> None:
    profile = root / "basic" / "profiles" / "live"
    scenes = root / "basic" / "scenes"
    for folder in (profile, scenes):
        folder.mkdir(parents=True)
    width, height = SIZE
    _write_ini(root / "global.ini", {
        "General": {"FirstRun": "true", "EnableAutoUpdates": "false"},
        "Basic": {"Profile": "live", "ProfileDir": "live", "SceneCollection": "live", "SceneCollectionFile": "live"},
        "BasicWindow": {"WarnBeforeStartingStream": "false", "WarnBeforeStoppingStream": "false", "SysTrayEnabled": "false"},
        "OBSWebSocket": {"FirstLoad": "false", "ServerEnabled": "true", "ServerPort": port, "AuthRequired": "false"},
    })  # fmt: skip
    _write_ini(profile / "basic.ini", {
        "General": {"Name": "live"},
        "Video": {"BaseCX": width, "BaseCY": height, "OutputCX": width, "OutputCY": height, "FPSType": 0, "FPSCommon": FRAME_RATE},
        "Audio": {"SampleRate": 48000, "ChannelSetup": "Stereo"},
        "Output": {"Mode": "Advanced", "Reconnect": "true", "RetryDelay": 1, "MaxRetries": 25},
        "AdvOut": {"Encoder": "obs_x264", "TrackIndex": 1, "UseRescale": "false", "Track1Bitrate": 128},
    })  # fmt: skip
    known = {"use_auth": user is not None, **dict(zip(("username", "password"), user or (), strict=False))}
    _write_json(profile / "service.json", {"type": "rtmp_custom", "settings": {"server": server, "key": key, **known}})
    encoder = {"rate_control": "CBR", "bitrate": 600, "keyint_sec": 2, "preset": "ultrafast", "profile": "main", "x264opts": "bframes=2"}
    _write_json(profile / "streamEncoder.json", encoder)
    colour = {"width": width, "height": height, "color": 0xFFD0901A}
    item = {"name": "Colour", "id": 1, "visible": True, "align": 5, "pos": {"x": 0.0, "y": 0.0}, "scale": {"x": 1.0, "y": 1.0}}
    _write_json(scenes / "live.json", {
        "name": "live", "current_scene": "Scene", "current_program_scene": "Scene", "scene_order": [{"name": "Scene"}],
        "sources": [
            {"id": "color_source_v3", "name": "Colour", "settings": colour, "enabled": True},
            {"id": "scene", "name": "Scene", "settings": {"id_counter": 1, "custom_size": False, "items": [item]}, "enabled": True},
        ],
    })  # fmt: skip


def _write_ini(path: Path, sections: dict[str, dict[str, object]]) -> None:
    lines = [line for name, values in sections.items() for line in (f"[{name}]", *(f"{key}={value}" for key, value in values.items()))]
    path.write_text("\n".join(lines) + "\n")


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


class _Control:
    """obs-websocket over a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._texts: list[str] = []
        self._socket.sendall(self._protocol.send(Request(host="127.0.0.1", target="/")))
        self._read_until(AcceptConnection)

    def send(self, operation: int, data: dict[str, Any]) -> None:
        self._socket.sendall(self._protocol.send(Message(data=json.dumps({"op": operation, "d": data}))))

    def receive(self) -> dict[str, Any]:
        if not self._texts:
            self._read_until(Message)
        return dict(json.loads(self._texts.pop(0)))

    def _read_until(self, kind: type) -> None:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            events = list(self._protocol.events()) or self._read()
            self._texts += [event.data for event in events if isinstance(event, Message)]
            if any(isinstance(event, kind) for event in events):
                return
        raise AssertionError(f"OBS sends no {kind.__name__}")

    def _read(self) -> list[Any]:
        data = self._socket.recv(65536)
        assert data, "OBS closed its control connection"
        self._protocol.receive_data(data)
        return list(self._protocol.events())
