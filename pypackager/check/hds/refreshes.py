"""What may change between two copies of a live bootstrap, and of the manifest above it.

In: a copy and the one before. Out: findings.
"""

from __future__ import annotations

from pypackager.check.finding import Scope
from pypackager.check.hds.f4m import F4m
from pypackager.check.hds.tables import Table
from pypackager.check.rules import rule

VERSION = rule(
    "HDS-VERSION", "error", "Adobe F4V 2.11.2", "BootstrapinfoVersion rises with every change",
    example="a new fragment under the version of the copy before",
)  # fmt: skip
CHANGED = rule(
    "HDS-FRAGMENT-CHANGED", "error", "Adobe F4V 2.11.2.2", "a fragment keeps its time and duration while it is listed",
    example="fragment 12 started at 24,000 ms and starts at 24,040",
)  # fmt: skip
WITHDRAWN = rule(
    "HDS-WITHDRAWN", "error", "Adobe F4V 2.11.2.2", "fragments are removed from the head alone, and do not come back",
    example="the newest fragment of the last copy is not in this one",
)  # fmt: skip
AFTER_END = rule(
    "HDS-AFTER-END", "error", "Adobe F4V 2.11.2", "a presentation that has ended does not go on",
    example="the live flag is clear, and is set in the next copy",
)  # fmt: skip
MEDIA_CHANGED = rule(
    "HDS-MEDIA-CHANGED", "error", "F4M 2.0 4.7", "a live manifest keeps its media: players read it once",
    example="a media of bitrate 800 is gone in the next manifest",
)  # fmt: skip


def check_refresh(before: Table, after: Table, scope: Scope) -> None:
    """Checks a bootstrap against the copy before."""
    old, new = before.bootstrap, after.bootstrap
    if new.live and not old.live:
        scope.breach(AFTER_END, "the live flag is set again", "an ended presentation")
    if new != old and new.version <= old.version:
        scope.breach(VERSION, f"version {new.version} over another content", f"more than {old.version}")
    if not before.fragments or not after.fragments:
        return
    was, now = before.fragments, after.fragments
    if now[-1].number < was[-1].number:
        scope.breach(WITHDRAWN, f"the newest fragment is {now[-1].number}", f"at least {was[-1].number}")
    if now[0].number < was[0].number:
        scope.breach(WITHDRAWN, f"the first fragment is {now[0].number}", f"at least {was[0].number}")
    if not old.live and now[-1].number > was[-1].number:
        scope.breach(AFTER_END, f"a fragment {now[-1].number}", "no more fragments")
    times = {fragment.number: (fragment.start, fragment.duration) for fragment in now}
    for fragment in was:
        here = times.get(fragment.number)
        if here is not None and here != (fragment.start, fragment.duration):
            found = f"fragment {fragment.number} at {here[0]} for {here[1]}"
            scope.breach(CHANGED, found, f"at {fragment.start} for {fragment.duration}, as before")
            # One fragment that moves may move all behind it.
            return


def check_manifests(before: F4m, after: F4m, scope: Scope) -> None:
    """Checks a manifest against the copy before; when it ends, bootstraps may move into it."""
    if after.live and before.live is False:
        scope.breach(AFTER_END, "streamType is live again", "recorded, as before")
    ours = {(media.url, media.bitrate): media for media in after.media}
    for media in before.media:
        now = ours.get((media.url, media.bitrate))
        if now is None:
            scope.breach(MEDIA_CHANGED, f"no media of {media.bitrate} kbit/s at {media.url}", "every media that was there")
        elif after.live == before.live and (now.bootstrap and now.bootstrap.url) != (media.bootstrap and media.bootstrap.url):
            scope.breach(MEDIA_CHANGED, f"another bootstrap for {media.url}", "the one of before", line=now.line)
