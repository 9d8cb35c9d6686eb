"""Which track of the channel a source's track is: identity, limits, configurations.

In: headers of connections. Out: track lines, configuration numbers, refusals. Never: media.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

from pypackager._core import Chunk, TrackHeader
from pypackager.model.errors import PackagerError
from pypackager.model.records import TrackPlaced
from pypackager.model.track import TrackConfig, TrackInfo
from pypackager.timeline.feeds import Feed, Now, others_alive
from pypackager.timeline.identity import difference, identity
from pypackager.timeline.naming import fmp4_ids, rtmp_id, rule_for
from pypackager.timeline.numbers import Numbers
from pypackager.timeline.pending import TrackLine
from pypackager.timeline.ports import Alert, Naming, Options, Store
from pypackager.timeline.rates import Rates
from pypackager.timeline.times import SECOND_NS, from_ns

GONE_NS = 30 * SECOND_NS
"""A track that nobody has sent for so long leaves its place to another."""
EVER = 8
"""So many times the limit of tracks may a channel see in its life: each stays in its journal."""

Place = tuple[str, int, str, str]
"""(stream, number, kind, name) of a track in what encoders send."""
REGISTERED = 64
"""So many connections that brought a header alone are remembered."""
PLACES = 1024
"""So many places of tracks in streams are remembered: stream names come from outside."""


class Tracks:
    """The tracks of a channel, by id."""

    def __init__(self, options: Options, store: Store, alert: Alert) -> None:
        self.lines: dict[str, TrackLine] = {}
        self._options = options
        self._store = store
        self._alert = alert
        self._rules: dict[str, Naming] = {}
        self._numbers = Numbers()
        self.rates = Rates(options.layer_bps, options.channel_bps)
        self.registered: list[Feed] = []
        """Connections that are gone and announced tracks that nobody has brought since, oldest first."""
        self._sets: dict[tuple[str, str], list[str]] = {}
        """Track ids of each stream, by side and name, as the newest connection announced them."""
        self._places: dict[Place, str] = {}
        """Track ids: an encoder that comes back with another bit rate sends the same track."""

    def announce(self, feed: Feed, header: TrackHeader) -> None:
        """A connection announced a track: first, again, or with another configuration."""
        number = header.number
        feed.headers[number] = header
        feed.identities.pop(number, None)
        if self._options.protocol == "fmp4":
            # What a track is called depends on which others are in its stream.
            for track_id in feed.ids.values():
                if track_id in self.lines:
                    self.lines[track_id].feeds.discard(feed.conn)
            feed.ids.clear()
            feed.placed.clear()
            feed.refused.clear()
        else:
            feed.ids.pop(number, None)
            feed.refused.pop(number, None)

    def admit(self, feed: Feed, feeds: Collection[Feed], now: Now, *, final: bool) -> None:
        """Decides what the announced tracks are; without `final`, audio of RTMP waits for the video that may be about to come.

        Raises:
            PackagerError: HEADER_MISMATCH (400) while another source with the old configuration is live; TOO_MANY_TRACKS and
                BITRATE_EXCEEDED (403) when nothing of the connection can be taken, or the one layer that an RTMP connection is about.
        """
        undecided = [n for n in feed.headers if n not in feed.ids]
        if not undecided:
            return
        plain = self._plain(feed, final=final)
        for number in undecided:
            if number not in plain:
                continue
            header = feed.headers[number]
            feed.ids[number] = track_id = self._fitting(plain[number], header)
            self._agree(feed, header, track_id, feeds, now)
            registered = [other for other in self.registered if now.mono_ns - other.delivered_ns < GONE_NS]
            self._room(feed, header, self._coming(feed, number, [*feeds, *registered]), now)
            if self._alone(feed, header) and (barred := self.rates.barred(track_id, now.mono_ns)) is not None:
                feed.refused[number] = barred
            if track_id in self.lines and number not in feed.refused:
                self.lines[track_id].feeds.add(feed.conn)
        self._judge(feed)
        self._compare_set(feed)

    def left(self, feed: Feed, now: Now) -> None:
        """A connection is gone. What it announced is registered until somebody brings it."""
        if self._options.protocol != "fmp4":
            return
        feed.delivered_ns = now.mono_ns
        others = [other for other in self.registered if not other.ids.items() <= feed.ids.items()]
        self.registered = [other for other in [*others, feed] if self._only_announced(other)][-REGISTERED:]

    def _only_announced(self, feed: Feed) -> bool:
        return any(name not in self.lines for number, name in feed.ids.items() if number not in feed.refused)

    def line(
        self, feed: Feed, header: TrackHeader, chunk: Chunk, feeds: Collection[Feed], now: Now, edge_ns: int | None
    ) -> TrackLine | None:
        """The line of a track that delivers; None when it is refused. A new one starts at `edge_ns`.

        Raises:
            PackagerError: as `admit`.
        """
        number = header.number
        if number in feed.refused:
            return None
        track_id = self._fitting(feed.ids[number], header)
        feed.ids[number] = track_id
        if track_id not in self.lines:
            self._room(feed, header, set(), now)
            if number in feed.refused:
                self._judge(feed)
                return None
            self._add(track_id, header, chunk, feeds, edge_ns)
        line = self.lines[track_id]
        line.frame = header.frame_ticks
        if number not in feed.placed:
            # Once for a connection: where several send under one name, the place would change hands with every chunk.
            feed.placed.add(number)
            self._remember(_place(feed, header), line)
        return line

    def weigh(self, feed: Feed, line: TrackLine, chunk: Chunk, span: tuple[int, int], now: Now) -> bool:
        """Counts a chunk at [start, end) of its track; returns whether it may be taken: the track keeps the limits of bit rate.

        Raises:
            PackagerError: BITRATE_EXCEEDED (403) when the connection is about this track.
        """
        over = self.rates.take(line.info, line.ns(span[0]), line.ns(span[1]), chunk.size, now.mono_ns)
        if over is None:
            line.feeds.add(feed.conn)
            return True
        if feed.conn in line.feeds:
            # Nobody waits for it any more.
            line.feeds.discard(feed.conn)
            line.left_ns = now.mono_ns
        if self._alone(feed, feed.headers[chunk.track]):
            raise over
        self._alert(over.code, over.detail, line.info.id)
        return False

    def has(self, name: str) -> bool:
        """Whether a track has a name, or the id, that an encoder speaks of."""
        return any(name in (line.info.name, line.info.id) for line in self.lines.values())

    def placed(self, places: Iterable[TrackPlaced]) -> None:
        """Takes over what was remembered before a restart."""
        ids = {line.info.number: line.info.id for line in self.lines.values()}
        for place in places:
            self._places[place.stream, place.number, place.kind, place.name] = ids[place.track]

    def config(self, feed: Feed, line: TrackLine, header: TrackHeader) -> int:
        """Number of the configuration that a header describes; journalled when it is new.

        Raises:
            CoreError: the header cannot be written.
        """
        name = feed.identities.get(header.number)
        if name is None or name not in line.configs:
            name = feed.identities[header.number] = identity(header)
            if name not in line.configs:
                init = header.init(line.info.number, line.info.timescale, line.info.language)
                line.configs[name] = self._store.add_config(line.info.number, _config_of(header, init))
        number = line.configs[name]
        if line.newest_config not in (None, number):
            what = "another configuration" if line.header is None else difference(line.header, header)
            line.changed = f"the source came with {what}: give the encoder the settings back that it had, or reset the channel"
            self._alert("HEADER_MISMATCH", line.changed, line.info.id)
        line.newest_config, line.header = number, header
        return number

    def forget_configs(self, line: TrackLine, *, track: bool) -> None:
        """The journal lacks a configuration, or the track itself: the disk was full when it was recorded. It is recorded again."""
        line.configs.clear()
        if track:
            self._store.add_track(line.info)

    def _remember(self, place: Place, line: TrackLine) -> None:
        # RTMP names its tracks by the stream alone.
        known = self._places.get(place)
        if known == line.info.id or self._options.protocol != "fmp4" or (known is None and len(self._places) >= PLACES):
            return
        self._places[place] = line.info.id
        self._store.append(TrackPlaced(*place, line.info.number))

    def _plain(self, feed: Feed, *, final: bool) -> dict[int, str]:
        """Ids by track number, as the source and the operator name them."""
        headers = feed.headers.values()
        found: dict[int, str] = {}
        if self._options.protocol == "fmp4":
            for number, name in fmp4_ids(feed.stream, list(headers)).items():
                track_id = self._ruled(name, feed.stream if len(feed.headers) == 1 else "")
                known = self._places.get(_place(feed, feed.headers[number]))
                takes_place = track_id not in self.lines and known in self.lines and known not in found.values()
                found[number] = known if takes_place and known is not None else track_id
            return found
        for header in headers:
            if header.kind == "audio" and not feed.has_video and not final:
                continue
            muxed = header.kind == "audio" and feed.has_video
            name = rtmp_id(feed.stream, header.kind, has_video=feed.has_video)
            found[header.number] = self._ruled(name, f"{feed.stream}/audio" if muxed else feed.stream)
        return found

    def _ruled(self, name: str, stream: str) -> str:
        # The audio of one layer first: `audio` speaks of that of all layers.
        rules = self._options.rules
        rule = next((rule for rule in rules if rule.match == stream and "/" in stream), None) or rule_for(rules, name, stream)
        if rule is None:
            return name
        track_id = rule.id or name
        self._rules[track_id] = rule
        return track_id

    def _fitting(self, track_id: str, header: TrackHeader) -> str:
        """The id, or the next one when a track of that id is something that this one can never be."""
        for _ in range(2):
            line = self.lines.get(track_id)
            if line is None:
                break
            if line.info.kind != header.kind:
                track_id = f"{track_id[:56]}-{header.kind}"
            elif header.kind == "audio" and line.info.timescale != header.stored_timescale:
                # A stored timescale never changes, and players set up a decoder once: they see another track when they load again.
                self._alert("HEADER_MISMATCH", f"audio at {header.stored_timescale} Hz is a track of its own", track_id)
                track_id = f"{track_id[:56]}-{header.stored_timescale}"
        return track_id

    def _agree(self, feed: Feed, header: TrackHeader, track_id: str, feeds: Collection[Feed], now: Now) -> None:
        for other in others_alive(feeds, feed, now.mono_ns):
            if other.side == feed.side and self._options.protocol == "rtmp":
                # A new publisher takes the layer over; RTMP encoders do not close what they lost.
                continue
            theirs = next((other.headers[n] for n, name in other.ids.items() if name == track_id and n in other.headers), None)
            if theirs is not None and identity(theirs) != identity(header):
                what = f"{track_id}: {difference(theirs, header)}, which a live source sends"
                raise PackagerError("HEADER_MISMATCH", f"{what}: set both encoders alike, or stop that one first")

    def _compare_set(self, feed: Feed) -> None:
        """Tells of a stream that has other tracks than it had. RTMP says one after the other what is in a stream."""
        stream, now = (feed.side, feed.stream.lower()), sorted(feed.ids.values())
        before = self._sets.get(stream, now)
        if self._options.protocol != "fmp4" or (stream not in self._sets and len(self._sets) >= PLACES):
            return
        self._sets[stream] = now
        gone, new = ([name for name in some if name not in others] for some, others in ((before, now), (now, before)))
        if gone or new:
            said = [f"{word} {', '.join(names)}" for word, names in (("without", gone), ("with", new)) if names]
            detail = f"stream {feed.stream} came {' and '.join(said)}: let the encoder send the tracks that it sent, or reset the channel"
            self._alert("HEADER_MISMATCH", detail, (gone or new)[0])

    def _coming(self, feed: Feed, number: int, feeds: Collection[Feed]) -> set[str]:
        """Ids of the same kind that connections announced and that are no tracks yet."""
        kind = feed.headers[number].kind
        return {
            name
            for other in feeds
            for n, name in other.ids.items()
            if name not in self.lines and n not in other.refused and other.headers[n].kind == kind and name != feed.ids[number]
        }

    def _room(self, feed: Feed, header: TrackHeader, coming: set[str], now: Now) -> None:
        """Refuses the track when there is no room for it."""
        track_id = feed.ids[header.number]
        limit = self._options.video_layers if header.kind == "video" else self._options.audio_tracks
        known = [line for line in self.lines.values() if line.info.kind == header.kind]
        live = {line.info.id for line in known if line.fed(now.mono_ns, GONE_NS)}
        if track_id in live:
            return
        room = len(live | coming) < limit and (track_id in self.lines or len(known) < EVER * limit)
        if not room:
            error = PackagerError("TOO_MANY_TRACKS", f"{track_id}: the channel has {limit} {header.kind} tracks already", status=403)
            feed.refused[header.number] = error
            self._alert(error.code, error.detail, track_id)

    def _alone(self, feed: Feed, header: TrackHeader) -> bool:
        """Whether a connection is about one layer, with which it goes."""
        return header.kind == "video" and (self._options.protocol == "rtmp" or len(feed.headers) == 1)

    def _judge(self, feed: Feed) -> None:
        refused = feed.refused
        rtmp_layer = self._options.protocol == "rtmp" and any(feed.headers[n].kind == "video" for n in refused)
        if refused and (rtmp_layer or refused.keys() >= feed.headers.keys()):
            raise next(iter(refused.values()))

    def _add(self, track_id: str, header: TrackHeader, chunk: Chunk, feeds: Collection[Feed], edge_ns: int | None) -> None:
        rule = self._rules.get(track_id)
        # RTMP announces no bit rates, and its clocks agree nowhere else.
        coming = [*feeds, *self.registered] if self._options.protocol == "fmp4" else ()
        info = TrackInfo(
            id=track_id,
            number=self._numbers.of(track_id, coming, (line.info.number for line in self.lines.values()), self.lines),
            kind=header.kind,
            timescale=header.stored_timescale,
            bitrate=self._free_bitrate(header, chunk),
            language=(rule.language if rule else None) or header.language or "und",
            name=header.name,
            role=rule.role if rule else "main",
        )
        self._store.add_track(info)
        line = TrackLine(info)
        # A layer that joins later is listed from the edge on: what lies behind it is frozen.
        line.edge = None if edge_ns is None else from_ns(edge_ns, info.timescale)
        self.lines[track_id] = line
        self.registered = [other for other in self.registered if self._only_announced(other)]

    def _free_bitrate(self, header: TrackHeader, chunk: Chunk) -> int:
        measured = chunk.size * 8 * chunk.timescale // max(1, chunk.duration)
        bitrate = header.bitrate or max(1000, measured // 1000 * 1000)
        taken = {line.info.bitrate for line in self.lines.values() if line.info.kind == header.kind}
        while bitrate in taken:
            bitrate += 1
        return bitrate


def _place(feed: Feed, header: TrackHeader) -> Place:
    return (feed.stream.lower(), header.number, header.kind, header.name)


def _config_of(header: TrackHeader, init: bytes) -> TrackConfig:
    return TrackConfig(
        hash=hashlib.sha256(init).hexdigest()[:12],
        codec=header.codec,
        codec_private=header.codec_private,
        init=init,
        width=header.width,
        height=header.height,
        frame_rate=header.frame_rate,
        pixel_aspect=header.pixel_aspect,
        sample_rate=header.sample_rate,
        channels=header.channels,
        frame_ticks=header.frame_ticks,
    )
