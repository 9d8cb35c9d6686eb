"""Numbers of tracks: their order in manifests, who leads, and the CMAF track_ID (docs/design/chunk.md).

In: what connections have announced. Out: a number for each new track. Never: a number twice.
"""

from __future__ import annotations

from collections.abc import Iterable

from pypackager.timeline.feeds import Feed


class Numbers:
    """Numbers that announced tracks will have, if they deliver.

    Whose first fragment comes first is an accident of the network, and bytes and init URLs have the number in them. So all that has been
    announced by then is numbered in one order whatever streams carry it: pictures by bit rate, then sound by bit rate.
    """

    def __init__(self) -> None:
        self._reserved: dict[str, int] = {}

    def of(self, track_id: str, feeds: Iterable[Feed], used: Iterable[int], known: Iterable[str]) -> int:
        """The number of a track that delivers for the first time.

        Args:
            track_id: the track.
            feeds: all connections.
            used: numbers of the tracks that there are.
            known: their ids.
        """
        if track_id not in self._reserved:
            first = 1 + max([*used, *self._reserved.values()], default=0)
            taken = {*known, *self._reserved}
            coming = {(_order(feed, number), name) for feed in feeds for number, name in feed.ids.items() if number not in feed.refused}
            names = dict.fromkeys(name for _, name in sorted(coming) if name not in taken)
            self._reserved.update({name: number for number, name in enumerate([*names, *({track_id} - names.keys())], first)})
        return self._reserved.pop(track_id)


def _order(feed: Feed, number: int) -> tuple[bool, int]:
    header = feed.headers[number]
    return header.kind != "video", header.bitrate
