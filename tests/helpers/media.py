"""Test material: ladders that are encoded once and kept under `.cache/media`, named by a hash of their recipe.

In: a `Recipe`. Out: the path of an MP4 file with one track per layer and per language, key frames aligned over all layers.
Never encodes while a test runs against the clock: ask for material before the daemon is started.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import imageio_ffmpeg

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "media"


@dataclass(frozen=True)
class Layer:
    """A video layer: H.264, closed GOPs of constant length."""

    width: int
    height: int
    kbps: int


@dataclass(frozen=True)
class Audio:
    """An AAC-LC track: a tone of `hertz`, so that a listener can tell languages apart."""

    language: str
    sample_rate: int
    kbps: int
    hertz: int


@dataclass(frozen=True)
class Recipe:
    """All that decides the bytes of a piece of material."""

    name: str
    seconds: int
    frame_rate: Fraction
    gop_frames: int
    b_frames: int
    layers: tuple[Layer, ...]
    audio: tuple[Audio, ...]
    noise: int = 0
    """0 to 100: grain that makes the encoder spend its bitrate."""


# 64 s hold a whole number of GOPs (32) and of 48 kHz AAC frames (3000): a loop of it has no seam.
LADDER = Recipe(
    name="ladder",
    seconds=64,
    frame_rate=Fraction(25),
    gop_frames=50,
    b_frames=0,
    layers=(Layer(160, 90, 80), Layer(320, 180, 200), Layer(480, 270, 400), Layer(640, 360, 800)),
    audio=(Audio("eng", 48_000, 64, 440), Audio("deu", 44_100, 64, 660)),
)
LADDER_LONG = replace(LADDER, name="ladder-long", seconds=128)
"""As long as a busy machine may need for a test in real time: in a loop ffmpeg leaves out a frame of sound where it begins anew."""
LADDER_SHORT = replace(LADDER, name="ladder-short", seconds=12)
"""The same ladder, twelve seconds of it."""
B_FRAMES = replace(LADDER, name="b-frames", seconds=12, frame_rate=Fraction(30_000, 1001), gop_frames=60, b_frames=2)
"""NTSC rate and B-frames: composition offsets, and a GOP of 2.002 s."""
B_FRAMES_LONG = replace(B_FRAMES, name="b-frames-long", seconds=64)
SINGLE = replace(LADDER, name="single", seconds=12, layers=(Layer(320, 180, 200),), audio=(Audio("eng", 48_000, 64, 440),))
"""One layer, one language."""
OTHER_SIZE = replace(SINGLE, name="other-size", layers=(Layer(384, 216, 200),))
"""What an encoder sends after it was set to another resolution."""
PLAIN = replace(LADDER, name="plain", layers=(Layer(160, 90, 80),), audio=(Audio("eng", 48_000, 64, 440),))
"""A minute that costs a player next to nothing."""
EVENT = replace(LADDER, name="event", seconds=180, layers=LADDER.layers[:2], audio=LADDER.audio[:1])
"""Three minutes of two layers and one language, for what must not come to a loop's seam: ffmpeg leaves out a frame of sound there."""
AUDIO_ONLY = replace(SINGLE, name="audio-only", layers=())
VIDEO_ONLY = replace(SINGLE, name="video-only", audio=())
HEAVY = replace(SINGLE, name="heavy", gop_frames=100, noise=60, layers=(Layer(640, 360, 5000), Layer(480, 270, 4000)))
"""Fragments of over 2 MB."""
FIVE_PICTURES = replace(SINGLE, name="five-pictures", frame_rate=Fraction(5), gop_frames=10)
"""Five pictures a second: further apart than a transport stream's clock references may be."""
FOUR_SECOND_GOPS = replace(SINGLE, name="four-second-gops", gop_frames=100)


@cache
def ffmpeg() -> str:
    """The ffmpeg binary of the imageio-ffmpeg wheel."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def material(recipe: Recipe) -> Path:
    """The file of a recipe, encoded now when the cache does not have it. Safe from several processes at once."""
    digest = hashlib.sha256(repr((asdict(recipe), imageio_ffmpeg.get_ffmpeg_version())).encode()).hexdigest()[:12]
    path = CACHE / f"{recipe.name}-{digest}.mp4"
    if path.exists():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{path.stem}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            unfinished = path.with_suffix(".part")
            subprocess.run([ffmpeg(), *_arguments(recipe), "-f", "mp4", str(unfinished)], check=True, stdin=subprocess.DEVNULL)
            unfinished.replace(path)
    return path


def without_priming(recipe: Recipe, folder: Path) -> Path:
    """Without AAC's first frame, which lies before zero: GStreamer's qtdemux drops it or not, and flvmux gives it the time zero."""
    out = folder / f"{recipe.name}.mp4"
    drop = ["-c", "copy", "-bsf:a", "noise=drop=eq(n\\,0)"]
    subprocess.run([ffmpeg(), "-v", "error", "-i", str(material(recipe)), "-map", "0", *drop, str(out)], check=True)
    return out


def _arguments(recipe: Recipe) -> list[str]:
    out = ["-hide_banner", "-loglevel", "error", "-nostats", "-y"]
    graph = []
    if recipe.layers:
        largest = max(recipe.layers, key=lambda layer: layer.width)
        out += ["-f", "lavfi", "-i", f"testsrc2=size={largest.width}x{largest.height}:rate={recipe.frame_rate}"]
        grain = f"noise=alls={recipe.noise}:allf=t:all_seed=1," if recipe.noise else ""
        graph.append(f"[0:v]{grain}format=yuv420p,split={len(recipe.layers)}" + "".join(f"[s{n}]" for n in range(len(recipe.layers))))
        graph += [f"[s{n}]scale={layer.width}:{layer.height}[v{n}]" for n, layer in enumerate(recipe.layers)]
    first_audio = 1 if recipe.layers else 0
    for n, audio in enumerate(recipe.audio):
        out += ["-f", "lavfi", "-i", f"sine=frequency={audio.hertz}:beep_factor=4:sample_rate={audio.sample_rate}"]
        graph.append(f"[{first_audio + n}:a]aformat=channel_layouts=stereo[a{n}]")
    out += ["-filter_complex", ";".join(graph), "-t", str(recipe.seconds)]
    for n, layer in enumerate(recipe.layers):
        out += ["-map", f"[v{n}]", f"-b:v:{n}", f"{layer.kbps}k", f"-maxrate:v:{n}", f"{layer.kbps}k", f"-bufsize:v:{n}", f"{layer.kbps}k"]
    for n, audio in enumerate(recipe.audio):
        out += ["-map", f"[a{n}]", f"-b:a:{n}", f"{audio.kbps}k", f"-metadata:s:a:{n}", f"language={audio.language}"]
    # One thread an encoder: the same bytes on every machine.
    out += ["-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "main", "-threads:v", "1", "-bf", str(recipe.b_frames)]
    out += ["-g", str(recipe.gop_frames), "-keyint_min", str(recipe.gop_frames), "-sc_threshold", "0", "-flags", "+cgop+bitexact"]
    return [*out, "-c:a", "aac", "-ac", "2", "-fflags", "+bitexact", "-movflags", "+faststart"]


if __name__ == "__main__":
    import time

    for one in (LADDER, LADDER_SHORT, B_FRAMES, SINGLE, OTHER_SIZE, AUDIO_ONLY, VIDEO_ONLY, HEAVY, FOUR_SECOND_GOPS):
        start = time.monotonic()
        print(f"{material(one)}  {material(one).stat().st_size:,} bytes  {time.monotonic() - start:.1f} s  ({os.cpu_count()} cores)")
