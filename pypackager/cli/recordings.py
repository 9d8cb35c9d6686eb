"""Recorded ladders for `pypackager push`: files in, named tracks out.

Fragmented MP4 is played as it is; a plain MP4 is remuxed once by ffmpeg into a folder that goes away. Nothing is ever encoded.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pypackager._core import CoreError, RecordedTrack, read_recording
from pypackager.cli.synthetic import find_ffmpeg
from pypackager.model.errors import PackagerError

SUFFIXES = (".mp4", ".m4v", ".m4a", ".ismv", ".isma", ".cmfv", ".cmfa")
"""Files of a folder that count as recordings."""


@dataclass(frozen=True)
class Part:
    """A track of the ladder and what it is called in URLs."""

    name: str
    track: RecordedTrack


def load_ladder(paths: Iterable[Path]) -> list[Part]:
    """All tracks of files and folders: video layers from the highest bitrate down as `video-1`, …, audio as `audio-LANGUAGE`.

    Raises:
        PackagerError: PUSH_MATERIAL: nothing there, or nothing that can be played.
    """
    tracks = [track for path in paths for file in _files(path) for track in _read(file)]
    if not tracks:
        raise PackagerError("PUSH_MATERIAL", "no recorded tracks found", fault="operator")
    video = sorted((track for track in tracks if track.header.kind == "video"), key=lambda track: -track.bitrate)
    parts = [Part(f"video-{number}", track) for number, track in enumerate(video, 1)]
    names: dict[str, int] = {}
    for track in tracks:
        if track.header.kind == "audio":
            base = f"audio-{track.header.language}".lower()
            names[base] = names.get(base, 0) + 1
            parts.append(Part(base if names[base] == 1 else f"{base}-{names[base]}", track))
    return parts


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)


def _read(path: Path) -> list[RecordedTrack]:
    try:
        tracks = read_recording(path)
        if tracks is None:
            with tempfile.TemporaryDirectory(prefix="pypackager-push-") as folder:
                tracks = _remuxed(path, Path(folder) / "fragmented.mp4")
    except CoreError as error:
        raise PackagerError("PUSH_MATERIAL", str(error), where=str(path), fault="operator") from error
    except OSError as error:
        raise PackagerError("PUSH_MATERIAL", error.strerror or str(error), where=str(path), fault="operator") from error
    return tracks


def _remuxed(path: Path, target: Path) -> list[RecordedTrack]:
    fragment(path, target, by_key_frame=True)
    tracks = read_recording(target) or []
    if tracks and all(track.header.kind == "audio" for track in tracks):
        # Nothing but a key frame of video ends a fragment there: without one the file is a single fragment.
        fragment(path, target, by_key_frame=False)
        tracks = read_recording(target) or []
    return tracks


def fragment(source: Path, target: Path, *, by_key_frame: bool) -> None:
    """Remuxes an MP4 file so that its samples are in fragments.

    Raises:
        PackagerError: PUSH_MATERIAL: ffmpeg can't; ENCODER_MISSING: there is none.
    """
    # With a moov that waits for the first fragment ffmpeg states the priming of sound in an edit list; else it draws out the first picture.
    border = ["-movflags", "frag_keyframe+delay_moov+default_base_moof"]
    if not by_key_frame:
        border = ["-movflags", "delay_moov+default_base_moof", "-frag_duration", "2000000"]
    command = [find_ffmpeg(), "-hide_banner", "-nostats", "-loglevel", "error", "-y", "-i", str(source), "-map", "0:v?", "-map", "0:a?"]
    result = subprocess.run(
        [*command, "-c", "copy", *border, "-f", "mp4", str(target)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if result.returncode:
        with contextlib.suppress(FileNotFoundError):
            target.unlink()
        raise PackagerError("PUSH_MATERIAL", result.stderr.strip() or "ffmpeg failed", where=str(source), fault="operator")
