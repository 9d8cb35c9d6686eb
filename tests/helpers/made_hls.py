"""Good live HLS presentations, recorded: FFmpeg's segments under playlists of our own, a window that slides and then ends.

In: a container. Out: a recording. FFmpeg's own playlists are judged elsewhere; these have nothing to be said against.
"""

from __future__ import annotations

import copy
import re
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Literal

from tests.helpers.judged import BASE
from tests.helpers.media import LADDER_SHORT, ffmpeg, material
from tests.helpers.recorded import EPOCH, Recording

Container = Literal["fmp4", "mpegts"]

FOLDERS = {"fmp4": BASE + "cmaf/", "mpegts": BASE + "ts/"}
SECONDS = 8.0
"""How long it is watched, until it has ended."""
COPIES = 4
"""Copies of each media playlist, one every two seconds; the last has ended."""
SEGMENTS, WINDOW = 6, 4
_ENDS = {"fmp4": "m4s", "mpegts": "ts"}
_TYPES = {"fmp4": "video/mp4", "mpegts": "video/mp2t"}
_PLAYLIST = "application/vnd.apple.mpegurl"
_MAPS: dict[Container, dict[str, list[str]]] = {
    "fmp4": {"low": ["0:0"], "high": ["0:3"], "audio": ["0:4"]},
    "mpegts": {"low": ["0:0", "0:4"], "high": ["0:3", "0:4"]},
}


@dataclass(frozen=True)
class _Playlist:
    name: str
    init: bytes
    segments: tuple[tuple[Fraction, bytes], ...]


@cache
def _playlists(container: Container) -> tuple[_Playlist, ...]:
    with tempfile.TemporaryDirectory() as folder:
        return tuple(_mux(container, name, maps, Path(folder) / name) for name, maps in _MAPS[container].items())


def _mux(container: Container, name: str, maps: list[str], folder: Path) -> _Playlist:
    folder.mkdir()
    command = [ffmpeg(), "-hide_banner", "-loglevel", "error", "-i", str(material(LADDER_SHORT))]
    for each in maps:
        command += ["-map", each]
    command += ["-c", "copy", "-output_ts_offset", "10", "-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod"]
    subprocess.run([*command, "-hls_segment_type", container, "list.m3u8"], check=True, stdin=subprocess.DEVNULL, cwd=folder)
    rows = re.findall(r"#EXTINF:([\d.]+),\n(\S+)", (folder / "list.m3u8").read_text())
    init = folder / "init.mp4"
    segments = tuple((Fraction(duration), (folder / uri).read_bytes()) for duration, uri in rows[:SEGMENTS])
    return _Playlist(name, init.read_bytes() if init.exists() else b"", segments)


def segment_url(container: Container, name: str, number: int) -> str:
    """The URL of a segment."""
    return f"{FOLDERS[container]}{name}{number}.{_ENDS[container]}"


def master_url(container: Container) -> str:
    """The URL of the multivariant playlist."""
    return FOLDERS[container] + "master.m3u8"


@cache
def _recording(container: Container) -> Recording:
    recording, folder = Recording(), FOLDERS[container]
    playlists = _playlists(container)
    recording.add(master_url(container), _master(container, playlists), _PLAYLIST)
    for playlist in playlists:
        for n in range(COPIES):
            first = min(n, SEGMENTS - WINDOW)
            text = _media(container, playlist, first, ended=n == COPIES - 1)
            recording.add(f"{folder}{playlist.name}.m3u8", text, _PLAYLIST, at=2.0 * n)
        if playlist.init:
            recording.add(f"{folder}{playlist.name}.mp4", playlist.init, "video/mp4")
        for n, (_, body) in enumerate(playlist.segments):
            recording.add(segment_url(container, playlist.name, n), body, _TYPES[container], at=max(0.0, 2.0 * (n + 1 - WINDOW)))
    return recording


def recorded_hls(container: Container) -> Recording:
    """A recording of one's own."""
    return copy.deepcopy(_recording(container))


def _media(container: Container, playlist: _Playlist, first: int, *, ended: bool) -> str:
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{6 if playlist.init else 3}", "#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-TARGETDURATION:2"]
    lines += [f"#EXT-X-MEDIA-SEQUENCE:{100 + first}", "#EXT-X-DISCONTINUITY-SEQUENCE:0"]
    lines += [f'#EXT-X-MAP:URI="{playlist.name}.mp4"'] if playlist.init else []
    # FFmpeg's encoder puts one frame of silence before its sound.
    early = Fraction(1024, 48_000) if playlist.name == "audio" else 0
    start = sum((duration for duration, _ in playlist.segments[:first]), Fraction(EPOCH) - WINDOW * 2 - early)
    for n in range(first, first + WINDOW):
        duration = playlist.segments[n][0]
        date = datetime.fromtimestamp(round(start * 1000) / 1000, UTC).isoformat(timespec="milliseconds")
        lines += [f"#EXT-X-PROGRAM-DATE-TIME:{date.replace('+00:00', 'Z')}", f"#EXTINF:{float(duration):.6f},"]
        lines += [f"{playlist.name}{n}.{_ENDS[container]}"]
        start += duration
    return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if ended else [])]) + "\n"


def _master(container: Container, playlists: tuple[_Playlist, ...]) -> str:
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{6 if container == 'fmp4' else 3}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    sound = next((playlist for playlist in playlists if playlist.name == "audio"), None)
    if sound is not None:
        lines.append('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,URI="audio.m3u8"')
    for playlist, size, codec in zip(playlists, ("160x90", "640x360"), ("avc1.42c00b", "avc1.42c01e"), strict=False):
        parts = [playlist, *([sound] if sound else [])]
        peak, mean = (sum(int(how(_rates(part))) for part in parts) for how in (max, _mean))
        group = ',AUDIO="a"' if sound else ""
        lines.append(
            f"#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={mean},RESOLUTION={size},FRAME-RATE=25.000,"
            f'CODECS="{codec},mp4a.40.2"{group}'
        )
        lines.append(f"{playlist.name}.m3u8")
    return "\n".join(lines) + "\n"


def _rates(playlist: _Playlist) -> list[Fraction]:
    return [8 * len(body) / duration for duration, body in playlist.segments]


def _mean(rates: list[Fraction]) -> Fraction:
    return sum(rates, Fraction(0)) / len(rates)
