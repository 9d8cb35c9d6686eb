"""CODECS of a variant against the renditions of its groups: it names what each of them is made of (RFC 8216bis 4.4.6.2)."""

from __future__ import annotations

from pypackager.check.finding import Scope
from pypackager.check.hls.multivariant import Multivariant
from pypackager.check.judge.codecs import CODECS
from pypackager.check.presentation import Track

_SBR = frozenset(("mp4a.40.5", "mp4a.40.29"))


def check_group_codecs(master: Multivariant, tracks: dict[str, Track], scope: Scope) -> None:
    """Checks each rendition of sound against the variants that use it; `tracks` by URL. A rendition is told once."""
    told: set[str] = set()
    for variant in master.variants:
        announced = {codec.lower() for codec in variant.codecs}
        for entry in master.members("AUDIO", variant.attributes.get("AUDIO", "")):
            track = tracks.get(entry.url) if entry.url != variant.url else None
            if track is None or not announced or track.label in told:
                continue
            names = _names(track)
            if not names or names & announced:
                continue
            told.add(track.label)
            here = scope.at(track=track.label)
            here.breach(CODECS, f"{', '.join(variant.codecs)} announced", min(names), line=variant.line)


def _names(track: Track) -> set[str]:
    """What the newest segment's sound may be called."""
    streams = track.loaded[-1].media.streams if track.loaded else []
    codec = next((stream.codec for stream in streams if stream.kind == "audio" and stream.codec is not None), None)
    if codec is None or "." not in codec.name:
        return set()
    # ADTS names the core of HE-AAC only (ISO 14496-3 1.6.5.3).
    return {codec.name.lower(), *(_SBR if codec.name == "mp4a.40.2" and any(stream.free_dts for stream in streams) else ())}
