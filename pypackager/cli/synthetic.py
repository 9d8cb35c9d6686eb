"""A ladder of test pictures with a burnt-in clock and of tones, made by ffmpeg: live for the demo, once and kept for `pypackager push`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from pypackager.model.errors import PackagerError

LADDER = ((1280, 720, 2400), (854, 480, 1200), (640, 360, 700), (426, 240, 350))
"""Width, height, kbit/s of the layers."""
LANGUAGES = (("eng", 440), ("deu", 660))
"""Language and tone in Hz of the audio tracks."""
SECONDS = 60
"""Length of the ladder that is kept."""
_FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts")


def find_ffmpeg() -> str:
    """The ffmpeg of the imageio-ffmpeg wheel, else the one on the PATH.

    Raises:
        PackagerError: ENCODER_MISSING.
    """
    try:
        import imageio_ffmpeg
    except ImportError:
        found = shutil.which("ffmpeg")
        if found is None:
            raise PackagerError("ENCODER_MISSING", "this needs ffmpeg: pip install 'pypackager[demo]'", fault="operator") from None
        return found
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def encoder_arguments(ffmpeg: str, url: str) -> list[str]:
    """ffmpeg's command line for the live encoder: the ladder with the time of day in the picture, pushed as fragmented MP4."""
    return [*_ladder_arguments(ffmpeg, ["-re"], "%{localtime}"), "-f", "ismv", "-movflags", "isml+frag_keyframe", url]


def synthetic_ladder() -> Path:
    """A minute of the ladder with its running time in the picture, as fragmented MP4; made at the first call, then kept.

    Raises:
        PackagerError: ENCODER_MISSING, PUSH_MATERIAL.
    """
    ffmpeg = find_ffmpeg()
    arguments = _ladder_arguments(ffmpeg, ["-t", str(SECONDS)], r"%{pts\:hms}")
    arguments += ["-f", "mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof"]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pypackager"
    kept = folder / f"ladder-{hashlib.sha256(repr(arguments[1:]).encode()).hexdigest()[:12]}.mp4"
    if kept.exists():
        return kept
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as made:
            target = Path(made) / "ladder.mp4"
            result = subprocess.run([*arguments, str(target)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if result.returncode:
                raise PackagerError("PUSH_MATERIAL", result.stderr.strip() or "ffmpeg failed", where=str(kept), fault="operator")
            # Whoever makes it at the same time makes the same.
            target.replace(kept)
    except OSError as error:
        raise PackagerError("PUSH_MATERIAL", error.strerror or str(error), where=str(kept), fault="operator") from error
    return kept


def _ladder_arguments(ffmpeg: str, pace: list[str], clock: str) -> list[str]:
    width, height, _ = LADDER[0]
    arguments = [ffmpeg, "-hide_banner", "-nostats", "-loglevel", "error"]
    arguments += [*pace, "-f", "lavfi", "-i", f"testsrc2=size={width}x{height}:rate=25"]
    for _, tone in LANGUAGES:
        arguments += [*pace, "-f", "lavfi", "-i", f"sine=frequency={tone}:beep_factor=4:sample_rate=48000"]
    font = _any_font()
    # Without a font the test picture's own running time is the clock.
    drawn = f",drawtext=fontfile={font}:text='{clock}':fontsize=48:fontcolor=white:box=1:boxborderw=12:boxcolor=black@0.6:x=(w-tw)/2:y=40"
    split = f"[0:v]format=yuv420p{drawn if font else ''},split={len(LADDER)}" + "".join(f"[s{i}]" for i in range(len(LADDER)))
    scaled = ";".join(f"[s{i}]scale={w}:{h}[v{i}]" for i, (w, h, _) in enumerate(LADDER))
    arguments += ["-filter_complex", f"{split};{scaled}"]
    for index, (_, _, kilobits) in enumerate(LADDER):
        rate = f"{kilobits}k"
        arguments += ["-map", f"[v{index}]", f"-b:v:{index}", rate, f"-maxrate:v:{index}", rate, f"-bufsize:v:{index}", rate]
    for index, (language, _) in enumerate(LANGUAGES):
        arguments += ["-map", f"{index + 1}:a", f"-metadata:s:a:{index}", f"language={language}"]
    arguments += ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0"]
    return [*arguments, "-c:a", "aac", "-b:a", "128k", "-ac", "2"]


def _any_font() -> str | None:
    for folder in _FONT_FOLDERS:
        found = next((path for path in Path(folder).rglob("*.ttf") if "Sans" in path.name and "Fallback" not in path.name), None)
        if found is not None:
            return str(found)
    return None
