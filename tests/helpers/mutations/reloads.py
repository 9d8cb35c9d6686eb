"""Mistakes from copy to copy of HLS playlists, between playlists, and against the clock. All of CMAF."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from tests.helpers.made_hls import COPIES, FOLDERS, SEGMENTS
from tests.helpers.mutations.boxes import shift
from tests.helpers.mutations.patient import ANY, LATER, Mutation, Patient, all_of, edit, every, mutation
from tests.helpers.recorded import with_body

_SEGMENT = r"#EXT-X-PROGRAM-DATE-TIME:.*\n#EXTINF:.*\n.*\n"
_NEWEST = rf"{_SEGMENT}\Z"


def _changed_duration(patient: Patient) -> None:
    """A segment that two copies list lasts a millisecond longer in the newer one."""
    patient.text(patient.variant(), r"(#EXTINF:\d\.\d\d)\d", r"\g<1>1", copies=range(patient.copy(), COPIES))


def _withdrawn(patient: Patient) -> None:
    """What copy 1 had as its newest is not in copy 2, whose head has not moved."""
    name = patient.variant()
    url = f"{FOLDERS[patient.container]}{name}.m3u8"
    kept = patient.recording.answers[url]
    first = kept[1][1].body.decode()
    shorter = re.sub(_NEWEST, "", first)
    kept[2] = kept[2][0], with_body(kept[2][1], shorter.encode())


def later_dates(patient: Patient, name: str, numbers: range, seconds: float) -> None:
    """Dates of some segments of a playlist are later."""
    url = f"{FOLDERS[patient.container]}{name}.m3u8"
    for copy, (at, answer) in enumerate(patient.recording.answers[url]):
        lines = answer.body.decode().split("\n")
        for n, line in enumerate(lines):
            if line.startswith(tuple(f"{name}{number}." for number in numbers)):
                head, _, date = lines[n - 2].partition("TIME:")
                later = datetime.fromisoformat(date) + timedelta(seconds=seconds)
                lines[n - 2] = f"{head}TIME:{later.isoformat(timespec='milliseconds').replace('+00:00', 'Z')}"
        patient.recording.answers[url][copy] = at, with_body(answer, "\n".join(lines).encode())


def _date_jump(patient: Patient) -> None:
    number = patient.number()
    later_dates(patient, patient.variant(), range(number, number + 1), patient.chance.uniform(0.3, 0.8))


def _hole(patient: Patient, *, media: bool) -> None:
    """Two frames of sound are missing: its dates go on behind them, and the media with them, or not."""
    number = patient.number()
    later_dates(patient, "audio", range(number, SEGMENTS), 0.085)
    for url in patient.media["audio"][number:] if media else ():
        patient.body(url, lambda data: shift(data, 0.085, 48_000))


def gap(patient: Patient, *names: str) -> int:
    """A segment that stays in some playlists up to the end is listed as a gap; which."""
    number = patient.chance.randint(2, 4)
    for name in names:
        all_of(patient, name, rf"(#EXTINF:.*\n{name}{number}\.m4s)", r"#EXT-X-GAP\n\1")
    return number


def _jump_behind_a_gap(patient: Patient) -> None:
    """The media goes on half a second late, its dates do not; that nothing lies between is not said."""
    name = patient.variant()
    number = gap(patient, name)
    for url in patient.media[name][number + 1 :]:
        patient.body(url, lambda data: shift(data, 0.5))


def _shrunk(patient: Patient) -> None:
    """The newest live copy lists two segments of the four that there are, and so does the end."""
    name, newest = patient.variant(), range(COPIES - 2, COPIES)
    patient.text(name, "MEDIA-SEQUENCE:102", "MEDIA-SEQUENCE:104", copies=newest)
    patient.text(name, rf"(?:{_SEGMENT}){{2}}", "", copies=newest)


def _gap_everywhere(patient: Patient) -> None:
    gap(patient, "low", "high", "audio")


def _ended_then_not(patient: Patient) -> None:
    patient.text("low", r"\Z", "#EXT-X-ENDLIST\n", copies=range(1, 2))


def _never_ends(patient: Patient) -> None:
    patient.text(patient.variant(), "#EXT-X-ENDLIST\n", "", copies=range(COPIES - 1, COPIES))


def _late(patient: Patient, *instants: float) -> None:
    """The second copy and those behind it come at other instants."""
    for url, kept in patient.recording.answers.items():
        if len(kept) == COPIES and url.endswith(".m3u8"):
            patient.recording.answers[url] = [(at, answer) for at, (_, answer) in zip((0.0, *instants), kept, strict=True)]


def _stall(patient: Patient) -> None:
    late = patient.chance.uniform(10, 14)
    _late(patient, late, late + 0.1, late + 2)


def _slow(patient: Patient) -> None:
    """Half as much again passes from one copy to the next as it lists."""
    step = patient.chance.uniform(2.9, 3.2)
    _late(patient, step, 2 * step, 3 * step)


def _late_once(patient: Patient) -> None:
    late = patient.chance.uniform(5.2, 5.8)
    _late(patient, late, late + 0.1, 8)


def _old(patient: Patient, years: str) -> None:
    for name in ("low", "high", "audio"):
        all_of(patient, name, "TIME:2023", f"TIME:{years}")


RELOADS: dict[str, Mutation] = {
    "the target changes": mutation(
        "HLS-TARGETDURATION-CHANGED", edit(ANY, "DURATION:2", "DURATION:3", LATER), "HLS-TARGETDURATION-DIFFERS", "HLS-WINDOW"
    ),
    "targets differ": mutation("HLS-TARGETDURATION-DIFFERS", every(ANY, "DURATION:2\n", "DURATION:3\n"), "HLS-WINDOW"),
    "numbers from zero": mutation("HLS-MEDIA-SEQUENCE", edit(ANY, r"SEQUENCE:1\d\d", "SEQUENCE:0", LATER), "HLS-MEDIA-SEQUENCE-DIFFERS"),
    "numbers one off": mutation(
        "HLS-MEDIA-SEQUENCE", edit(ANY, r"SEQUENCE:10\d", "SEQUENCE:103", range(2, COPIES)), "HLS-MEDIA-SEQUENCE-DIFFERS"
    ),
    "numbers differ": mutation("HLS-MEDIA-SEQUENCE-DIFFERS", every("audio", "MEDIA-SEQUENCE:1", "MEDIA-SEQUENCE:2")),
    "a discontinuity too many": mutation(
        "HLS-DISCONTINUITY-SEQUENCE", edit(ANY, "SEQUENCE:0", "SEQUENCE:1", LATER), "HLS-DISCONTINUITY-DIFFERS"
    ),
    "discontinuities differ": mutation("HLS-DISCONTINUITY-DIFFERS", every("audio", "CONTINUITY-SEQUENCE:0", "CONTINUITY-SEQUENCE:4")),
    "a duration changes": mutation("HLS-SEGMENT-CHANGED", _changed_duration, "HLS-PDT", "MEDIA-DURATION-EXACT"),
    "the newest is withdrawn": mutation("HLS-SEGMENT-WITHDRAWN", _withdrawn, "HLS-WINDOW"),
    "it goes on behind its end": mutation("HLS-ENDLIST", _ended_then_not, "HLS-ENDLIST-DIFFERS"),
    "one does not end": mutation("HLS-ENDLIST-DIFFERS", _never_ends, "LIVE-PACE"),
    "an event that forgets": mutation("HLS-EVENT-REMOVAL", every(ANY, "#EXTM3U\n", "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:EVENT\n")),
    "a date that jumps": mutation("HLS-PDT", _date_jump, "MEDIA-TIME", "SYNC-TRACKS"),
    "two frames are missing": mutation("HLS-HOLE", lambda p: _hole(p, media=True)),
    "dates without their media": mutation("MEDIA-TIME", lambda p: _hole(p, media=False), "HLS-HOLE"),
    "a window of two segments": mutation("HLS-WINDOW", _shrunk),
    "the media jumps behind a gap": mutation("MEDIA-TIME", _jump_behind_a_gap, "SYNC-TRACKS"),
    "a gap everywhere": mutation("HLS-GAP", _gap_everywhere),
    "sound without dates": mutation("HLS-PDT-MISSING", every("audio", "#EXT-X-PROGRAM-DATE-TIME:.*\n", ""), "SYNC-TRACKS"),
}

LIVENESS: dict[str, Mutation] = {
    "nothing comes for long": mutation("LIVE-STALL", _stall),
    "it comes too slowly": mutation("LIVE-PACE", _slow),
    "the next comes late": mutation("LIVE-JITTER", _late_once),
    "dates of long ago": mutation("LIVE-EDGE", lambda p: _old(p, "2019")),
    "dates of tomorrow": mutation("LIVE-FUTURE", lambda p: _old(p, "2031")),
}
"""Watched for twenty seconds."""
