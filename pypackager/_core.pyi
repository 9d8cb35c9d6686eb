"""The native core: the ingest pump, the writer, remuxing and small exact helpers. Media bytes stay on that side of the border."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from os import PathLike
from typing import Literal, Self, TypeAlias, final

from pypackager.dvr.track import Track
from pypackager.model.plan import Body, MoviePiece, Text
from pypackager.model.presentation import Period

__all__ = [
    "Audience",
    "BodyEnd",
    "Budget",
    "Certificate",
    "Certificates",
    "Chunk",
    "ChunkReady",
    "Closed",
    "ConnectRequested",
    "ConnectionStats",
    "CoreError",
    "DeflatedBlock",
    "Folded",
    "FoldedTrack",
    "FrontAnswer",
    "FrontDoor",
    "Gate",
    "Given",
    "IngestTls",
    "MuxedFragment",
    "NeedClock",
    "Networks",
    "Policy",
    "Proxies",
    "PublishEnded",
    "PublishRequested",
    "Pump",
    "PumpEvent",
    "RecordedTrack",
    "Replay",
    "Request",
    "Room",
    "SignalReady",
    "SignalsFound",
    "StreamStats",
    "TrackFound",
    "TrackHeader",
    "Warned",
    "Writer",
    "assemble_gzip",
    "crc32c",
    "deflate_block",
    "flv_metadata",
    "fold_journal",
    "join_blocks",
    "make_body",
    "movie_head",
    "progressive_head",
    "read_init",
    "read_movie",
    "read_recording",
    "sign_token",
    "signal_fragment",
    "split_cmcd",
    "split_token",
]

class CoreError(ValueError):
    """Bytes from outside are wrong."""

    code: str
    status: int
    offset: int
    path: str
    detail: str

@final
class TrackHeader:
    """A track as a source announces it."""

    number: int
    kind: Literal["video", "audio"]
    timescale: int
    """Ticks per second of the source's times."""
    stored_timescale: int
    """Ticks per second in which its fragments are to be stored: 90,000 or the source's own for video, the output sample rate for audio."""
    codec: str
    codec_private: bytes
    name: str
    language: str
    bitrate: int
    frame_rate: tuple[int, int]
    width: int
    height: int
    pixel_aspect: tuple[int, int]
    sample_rate: int
    channels: int
    frame_ticks: int
    """Audio: ticks of one access unit in `stored_timescale`; video: 0."""

    def init(self, track_id: int, timescale: int, language: str) -> bytes:
        """The CMAF header (`ftyp` + `moov`) of a stored track."""

@final
class Chunk:
    """A finished chunk of one track; its bytes stay in Rust."""

    track: int
    time: int
    duration: int
    timescale: int
    samples: int
    size: int
    sync: bool
    partial: bool
    index: int | None

    def join(self, others: list[Chunk]) -> Chunk:
        """One chunk of this one and those that follow it; the bytes are copied.

        Raises:
            CoreError: FRAGMENT_INVALID when they are no consecutive chunks of one track.
        """

    def within(self, begin: int, end: int) -> Chunk | None:
        """The samples that start in [begin, end), ticks of the chunk, their bytes copied; None when there are none. Of sound alone.

        Raises:
            OSError: what waits in a file cannot be read.
        """

    def mux(self, track_id: int, sequence: int, timescale: int, offset: int) -> MuxedFragment:
        """As a CMAF fragment: absolute times converted to `timescale`, then `offset` ticks (of `timescale`) added.

        Raises:
            CoreError: TIME_NEGATIVE when a time would be below zero.
        """

@final
class Gate:
    """What stands before a publication: who may have it, and when. Its secrets are in no repr."""

    def __new__(
        cls, root: str, keys: list[tuple[str, bytes]], *, starts: int | None = None, expires: int | None = None, signed: bool = False
    ) -> Self:
        """A gate.

        Args:
            root: of the presentation, `/{locator}/{asset}.ism`.
            keys: id and secret of those whose tokens are good.
            starts: nobody is admitted before; microseconds since 1970.
            expires: nobody is admitted from then on.
            signed: nobody is admitted without a token. One that is there has to be good even if none is demanded.
        """

    def judge(self, now: int, token: str | None, viewer: str) -> str | None:
        """None, or why not: LOCATOR_EARLY, LOCATOR_EXPIRED, TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED.

        Args:
            now: microseconds since 1970.
            token: of the path.
            viewer: address of who asks; what is none is that of no token.
        """

@final
class MuxedFragment:
    """A CMAF fragment (moof + mdat), ready to be written; the payload is shared with its chunk."""

    time: int
    duration: int
    size: int
    crc: int
    """CRC32C of moof + mdat."""
    samples: int

    def __bytes__(self) -> bytes: ...

# --- who watches

@final
class Audience:
    """Counts who watches, by streaming endpoint, channel and locator."""

    def __new__(cls) -> Self:
        """Nobody watches."""

    def room(self, endpoint: str, channel: str, locator: str) -> Room:
        """Where those are counted who watch what a locator publishes, or ("") the channel's preview, at an endpoint."""

    def viewers(self) -> list[tuple[str, str, str, int]]:
        """Endpoint, channel, locator and how many were given something in the last 30 s, where somebody was."""

    def take(self) -> list[tuple[str, str, str, int]]:
        """The same, with the bytes that were sent since the last call."""

@final
class Room:
    """A count of viewers: exact up to 16,384 of them, within about one percent beyond."""

    def gave(self, address: str, agent: str, session: str | None, sent: int) -> None:
        """A viewer was given something: told by its CMCD session id, else by its address and agent."""

def split_cmcd(query: str, field: str) -> tuple[str, str | None]:
    """A query without its CMCD parameter; the session id that stands there, else in the field CMCD-Session (CTA-5004)."""

# --- the front door

@final
class FrontAnswer:
    """An answer that the front door may give by itself."""

    def __new__(
        cls,
        kind: str,
        headers: list[tuple[bytes, bytes]],
        etag: str,
        etag_gzip: str,
        body: Body,
        gzip: bytes | Text | None,
    ) -> Self:
        """Takes over an answer; bytes are shared, not copied.

        Args:
            kind: "manifest" or "segment": what its requests are counted as.
            headers: fields of all its forms, names in lower case; without content-length, content-encoding, content-range and etag.
            etag: entity tag of the plain form, quoted.
            etag_gzip: entity tag of the gzip form.
            body: bytes, or a plan of `pypackager.model.plan`.
            gzip: the body as one gzip member.

        Raises:
            ValueError: a kind or header that can't be.
            TypeError: no plan.
        """

@final
class Certificate:
    """A certificate that fits its key, as PEM files have them."""

    def __new__(cls, certificate: str | PathLike[str], key: str | PathLike[str]) -> Self:
        """Reads and checks a pair of files; whether its time is over is not judged.

        Args:
            certificate: path of the certificate and those that lead from it to its authority.
            key: path of its private key.

        Raises:
            CoreError: there is no such pair; `path` is the argument that is at fault.
        """

    @property
    def names(self) -> list[str]:
        """Host names that it is for."""

    @property
    def end(self) -> int:
        """Seconds since 1970 at which it ends."""

@final
class Certificates:
    """What all listeners that speak TLS share: handshakes take what is here when they begin, connections go on with what they took."""

    def __new__(cls, certificates: list[Certificate]) -> Self:
        """With these; the first is given to who names no host, or one that none is for.

        Raises:
            OSError: the system has no random numbers.
        """

    def replace(self, certificates: list[Certificate]) -> None:
        """These from now on."""

    def choose(self, host: str | None) -> int | None:
        """Place of the one that a client is given that names a host; None when there is none at all."""

    def __len__(self) -> int:
        """How many there are."""

@final
class IngestTls:
    """How encoders are to speak TLS: with the certificates that there are at the moment of each handshake."""

    def __new__(cls, certificates: Certificates, client_ca: str | PathLike[str] | None = None) -> Self:
        """With `client_ca`, a PEM file of authorities, an encoder has to show a certificate that one of them vouches for.

        Raises:
            CoreError: TLS_UNUSABLE, the file can't be read or has none; `path` is `ingest_client_ca`.
        """

@final
class FrontDoor:
    """Native threads that own the origin's sockets: they answer what was published and ask the application for the rest."""

    latency_bounds: list[float]
    """Seconds: the upper bounds of the latency histogram."""

    def __new__(
        cls,
        sockets: list[int],
        upstream: str,
        *,
        certificates: Certificates | None = None,
        threads: int = 1,
        keep_alive_s: float = 65.0,
        handshake_s: float = 10.0,
        stall_s: float = 30.0,
        grace_s: float = 2.0,
        max_connections: int = 4096,
        max_questions: int = 64,
        cache_bytes: int = 16_777_216,
        max_lines: int = 1000,
        proxies: Proxies | None = None,
    ) -> Self:
        """Serves from now on.

        Args:
            sockets: descriptors of listening TCP sockets, which it takes over.
            upstream: path of the Unix socket on which the application listens.
            certificates: what TLS is spoken with; none: HTTP in the clear.
            threads: that serve.
            keep_alive_s: how long a connection may be idle, or take to send a request's head.
            handshake_s: how long the handshake of TLS may take.
            stall_s: how long a viewer may take no byte of its answer.
            grace_s: how long answers under way may take at the end.
            max_connections: more wait in the backlog.
            max_questions: questions to the application at once, each thread.
            cache_bytes: bodies that are kept.
            max_lines: lines of the access log between two reports; the rest is only counted.
            proxies: those that are believed about a viewer's address; None: nobody.

        Raises:
            OSError: no thread, or no descriptor.
        """

    def obey(self, policy: Policy) -> None:
        """Gives by itself only to whom this policy lets in, from now on."""

    def route(self, routes: dict[str, str]) -> None:
        """Asks other applications, on these Unix sockets, for what is below the preview of a channel (`preview/CHANNEL`) or of a locator.

        These and no others from now on; the application of `upstream` is asked for the rest.
        """

    def guard(self, root: str, gate: Gate, counted: Room) -> None:
        """Puts a gate before a presentation, and counts in a room whom it lets in; what was published behind another one goes."""

    def put(self, root: str, target: str, answer: FrontAnswer, lifetime_s: float) -> None:
        """Gives a segment of the presentation at `root` to whoever asks for `target`, byte for byte, until its lifetime ends."""

    def add(self, root: str, target: str, answer: FrontAnswer) -> None:
        """Gives one more manifest of a presentation, until the next turn."""

    def turn(self, root: str, manifests: Sequence[tuple[str, FrontAnswer]]) -> None:
        """Gives these manifests (target, answer) of a presentation from now on, and no others."""

    def asked(self, root: str) -> list[str]:
        """The targets of a presentation that were asked for since the last call; forgets segments whose lifetime ended."""

    def withdraw(self, root: str) -> None:
        """Gives nothing of a presentation any more."""

    def report(
        self,
    ) -> tuple[
        list[tuple[str, str, str, int, str, int, float, str]],
        int,
        list[tuple[str, int, int, int, float, list[int]]],
    ]:
        """What it answered by itself since the last call.

        Returns:
            A line for each answer (the viewer's address, method, target, status, kind, bytes, seconds until it was ready, User-Agent); how
            many more have no line; sums of all (kind, status, count, bytes, seconds, count in each bucket of the histogram).
        """

    def stop(self) -> None:
        """No new connection, idle ones end at once, answers under way within `grace_s`; blocks until then."""

# --- the pump

@final
class Request:
    """An HTTP request head; the body waits until accept() or respond()."""

    conn: int
    method: str
    target: str
    headers: list[tuple[str, str]]

@final
class ConnectRequested:
    """An RTMP connect, of a pump that asks about them; the publish waits until accept() or refuse()."""

    conn: int
    app: str
    query: str
    tc_url: str
    encoder: str

@final
class PublishRequested:
    """An RTMP publish; media waits until accept() or refuse().

    A further publish of a connection has a number of its own, and is a connection to accept(), bind(), refuse() and close() from then on.
    """

    conn: int
    parent: int | None
    """Of a further publish: the connection whose socket it shares."""
    app: str
    stream: str
    query: str
    tc_url: str
    encoder: str

@final
class TrackFound:
    """A track's header arrived: first, again at a reconnect, or changed in mid-stream. Chunks that follow belong to it."""

    conn: int
    header: TrackHeader

@final
class NeedClock:
    """The first frame of an RTMP connection, or the first after a jump of its timestamps: say with bind() which source clock it runs on.

    The connection is not read until then.
    """

    conn: int
    track: int
    time: int
    timescale: int
    jump: bool

@final
class ChunkReady:
    """A chunk is complete."""

    conn: int
    chunk: Chunk

@final
class BodyEnd:
    """The body of an accepted request is complete and all its chunks were handed over: answer with respond()."""

    conn: int

@final
class SignalsFound:
    """A track of signals was announced: first, again, or with another entry in the live manifest (mission: sparse tracks)."""

    conn: int
    number: int
    timescale: int
    """Ticks per second of its times."""
    format: str
    """Kind of its sample entry; empty when there is none."""
    name: str
    language: str
    parent: str
    """`parentTrackName`."""
    output: bool
    """`manifestOutput`."""
    subtype: str
    scheme: str

@final
class SignalReady:
    """A signal is complete. Times are ticks."""

    conn: int
    track: int
    time: int
    duration: int
    timescale: int
    data: bytes

@final
class PublishEnded:
    """The first publish of an RTMP connection is over, the connection is not. Further publishes are Closed then."""

    conn: int
    code: str
    """Empty for an orderly end."""
    detail: str

@final
class Warned:
    """A fault that did not end the connection."""

    conn: int
    code: str
    detail: str
    offset: int

@final
class Closed:
    """The connection is gone; its number is not used again. `code` is empty for an orderly end."""

    conn: int
    code: str
    detail: str
    bytes_received: int

@final
class Given:
    """The connection was given away (Pump.give); nothing follows of it. Its socket is closed with this."""

    conn: int
    @property
    def protocol(self) -> Literal["rtmp", "http"]: ...
    @property
    def opening(self) -> bytes:
        """What it sent: up to the decision that is due, and what came behind."""

    @property
    def decided(self) -> int:
        """How many decisions on it were taken and answered."""

    @property
    def unsent(self) -> bytes:
        """Answers that the socket had no room for."""

    def fileno(self) -> int:
        """The socket."""

_Numbers: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, int, int]
PumpEvent: TypeAlias = (
    Request
    | ConnectRequested
    | PublishRequested
    | TrackFound
    | NeedClock
    | ChunkReady
    | SignalsFound
    | SignalReady
    | BodyEnd
    | PublishEnded
    | Warned
    | Given
    | Closed
)

@final
class ConnectionStats:
    """What a connection received so far."""

    conn: int
    bytes_received: int
    idle_ms: int

@final
class Budget:
    """What the open fragments of a channel may hold in memory; the connections that it is given to share it."""

    held: int
    """Bytes of open fragments in memory."""
    peak: int
    """The most that they were: what one read brings may stand above the limit until it is spilled."""
    spilled: int
    """Bytes that went to the spill file so far."""

    def __new__(cls, limit: int) -> Self: ...

@final
class Pump:
    """One thread with an epoll set of ingest sockets (docs/design/pump.md). Every call is cheap and thread-safe."""

    def __new__(
        cls,
        *,
        tick_ms: int = 50,
        idle_timeout_ms: int = 60_000,
        max_unparsed: int = 262_144,
        max_fragment: int = 33_554_432,
        audio_grid_ms: int = 2000,
        spill_directory: str | PathLike[str] | None = None,
        ask_connect: bool = False,
        keep_openings: bool = False,
    ) -> Self:
        """Starts the thread.

        With `ask_connect` RTMP connects are asked about before their publish. With `keep_openings` RTMP connections can be given away. The
        spill file is made in `spill_directory` (default: the system's for temporary files) when it is needed.
        """

    def fileno(self) -> int:
        """An eventfd, readable when events wait."""

    def events(self) -> list[PumpEvent]:
        """All events so far, in order per connection; clears the eventfd."""

    def add(self, fd: int, protocol: Literal["rtmp", "http"], tls: IngestTls | None = None) -> int:
        """Takes over a connected socket (the descriptor is the pump's from now on) and returns its connection number.

        With `tls` the peer is to speak that around the protocol.
        """

    def adopt(self, fd: int, protocol: Literal["rtmp", "http"], opening: bytes, decided: int, unsent: bytes) -> int:
        """Takes over a connection that another pump gave away (see Given) and returns its number here.

        What it sent there is read again, and asked about again; what was answered there is not answered twice.
        """

    def give(self, conn: int) -> None:
        """Gives away a connection whose request, connect or first publish waits for a decision.

        Given is its last event; Closed (NOT_GIVEN) where that can't be.
        """

    def accept(self, conn: int, budget: Budget | None = None) -> None:
        """Lets the requested POST or publish go on; what its open fragments hold beyond the budget goes to the spill file."""

    def bind(self, conn: int, clock: int) -> None:
        """RTMP: puts the connection on source clock `clock` (a number of the caller's choice; audio is cut at video edges per clock)."""

    def respond(self, conn: int, status: int, content_type: str, body: bytes, headers: list[tuple[str, str]], close: bool) -> None:
        """HTTP: the answer to the request."""

    def refuse(self, conn: int, code: str, description: str) -> None:
        """RTMP: onStatus with level error. The connection is closed when none of its publishes is left."""

    def close(self, conn: int) -> None:
        """Closes the connection; of a further publish that alone."""

    def hold(self, conn: int, held: bool) -> None:
        """Back-pressure: stops or resumes reading a connection; a further publish goes with its own."""

    def stats(self) -> list[ConnectionStats]: ...
    def stop(self) -> None:
        """Closes every connection and ends the thread; events that wait can still be fetched."""

# --- the writer

@final
class Writer:
    """One thread that writes blobs and journals in the order of the calls, one that syncs them.

    A write's ticket is done when its bytes are in the page cache, a sync's when they are on the disk. Media that was synced a minute ago
    leaves the page cache: what viewers read again comes back by that.
    """

    def __new__(cls) -> Self: ...
    def fileno(self) -> int:
        """An eventfd, readable when tickets are done."""

    def done(self) -> list[tuple[int, int]]:
        """(ticket, errno) of everything finished since the last call: writes in order, and syncs; errno 0 is fine. Clears the eventfd."""

    def open(self, path: str) -> int:
        """Opens (creates) a file for writing at its end and returns its handle, at once.

        Raises:
            OSError: it can't be opened.
        """

    def append(self, handle: int, data: bytes) -> int:
        """Appends to a file (journal records, a blob's header). A short write is undone (ftruncate) and reported."""

    def write_fragment(self, blob: int, offset: int, fragment: MuxedFragment, journal: int, record: bytes) -> int:
        """Writes the fragment at `offset` of the blob, then appends the record to the journal; a failed first write skips the second."""

    def sync(self, handles: list[int]) -> int:
        """fdatasync of each handle in order, beside the writes, which do not wait for it."""

    def close_file(self, handle: int) -> int:
        """Closes a file; the kernel begins to write what was not synced."""

    def queued_bytes(self) -> int: ...
    def stop(self) -> None:
        """Finishes what is queued, but for syncs that have not begun, then ends the threads."""

# --- answers

def signal_fragment(track_id: int, sequence: int, time: int, duration: int, data: bytes) -> bytes:
    """A Smooth Streaming fragment of a signal (MS-SSTR 2.2.4); times are ticks of the stream's TimeScale."""

def make_body(body: Body) -> bytes:
    """Carries out the plan of an answer: reads what is stored, remuxes it where the format is another; the GIL is released.

    Raises:
        OSError: a file is gone or shorter than a range.
        CoreError: what was read is no fragment of ours.
    """

def movie_head(inits: list[bytes], duration_ms: int, track_id: int, timescale: int, start: int, entries: list[tuple[int, int]]) -> bytes:
    """ftyp, moov and sidx of a movie of stored fragments.

    Args:
        inits: CMAF headers of the tracks.
        duration_ms: of the movie.
        track_id: of the track that the index follows.
        timescale: its ticks per second.
        start: presentation time of its first subsegment.
        entries: (bytes, ticks) of each subsegment; without any there is no index.

    Raises:
        CoreError: a header that can't be read, an index of more than 65535 subsegments.
    """

def progressive_head(tracks: list[tuple[bytes, int]], paths: list[str], fragments: list[tuple[int, int, int, int]]) -> tuple[bytes, bytes]:
    """ftyp, moov with sample tables and the header of the mdat of a progressive movie; the GIL is released.

    Reads the `moof`s of all fragments.

    Args:
        tracks: CMAF header and ticks per second.
        paths: of the files.
        fragments: (index of the track, index of the path, offset, size), in the order in which their media is to follow.

    Returns:
        The head, and rows of three native 64-bit numbers: index of the path, offset, size of the media that follows.

    Raises:
        OSError: a file is gone or shorter than a fragment.
        CoreError: what was read is no fragment of ours, or its times do not fit.
    """

def read_movie(pieces: list[MoviePiece]) -> bytes:
    """Parts of stored fragments with the times that they have in the movie; the GIL is released.

    Raises:
        OSError: a file is gone or shorter than a piece.
        CoreError: what was read is no fragment of ours.
    """

def read_init(init: bytes) -> TrackHeader:
    """The track that a stored CMAF header describes."""

def flv_metadata(values: list[tuple[str, float | bool | str]]) -> bytes:
    """AMF0 `onMetaData` for f4m <metadata>."""

# --- replay: the encoder's side of an ingest

@final
class RecordedTrack:
    """One track of a recording, in memory; streams that play it share it."""

    header: TrackHeader
    samples: int
    size: int
    """Bytes of all samples."""
    seconds: float
    bitrate: int
    """Bits per second, measured."""

def read_recording(path: str | PathLike[str]) -> list[RecordedTrack] | None:
    """Every track of a fragmented MP4 file; None when the file is MP4 without fragments.

    Raises:
        CoreError: it is no MP4, or one with other codecs.
        OSError: it can't be read.
    """

@final
class StreamStats:
    """What became of one stream so far."""

    url: str
    phase: Literal["opening", "open", "playing", "away", "closing", "done", "failed"]
    bytes: int
    samples: int
    """Handed to a connection, those sent again included."""
    units: int
    """Fragments of HTTP, samples of RTMP, sent for the first time."""
    resent: int
    """The same, sent again."""
    media_seconds: float
    late_ms: float
    """The worst lateness of a sample or fragment against its media time, outages included; 0 without pace."""
    reconnects: int
    away_seconds: float
    """Time without a connection, after the first."""
    longest_away_seconds: float
    injected: list[tuple[str, float, float]]
    """Faults that happened: name, media seconds, seconds since 1970."""
    answers: list[tuple[str, float]]
    """What the other side answered, or how a connection ended, and when."""
    code: str
    """Why it failed, else empty."""
    detail: str

@final
class Replay:
    """Many streams, RTMP or fragmented MP4 over HTTP, played from one thread."""

    def __new__(
        cls,
        streams: list[tuple[str, RecordedTrack, str]],
        *,
        speed: float = 1.0,
        seconds: float | None = None,
        repeat: bool = False,
        patience: float = 10.0,
        give_up: float | None = None,
        resend: int = 2,
        synchronised: bool = False,
        rtmp_keeps: bool = False,
        seed: int = 0,
        broken: list[str] = ...,
        faults: list[tuple[int, str, int, bool, tuple[float, float, float], float]] = ...,
        ca: str | PathLike[str] | None = None,
        insecure: bool = False,
        identity: tuple[str | PathLike[str], str | PathLike[str]] | None = None,
    ) -> Self:
        """A stream: (URL, track, track name for the live manifest). Speed 0 is as fast as the other side takes it; `seconds` is media time.

        `give_up`: seconds in vain after which a stream has failed, None: never. `resend`: fragments that a new POST begins with.
        `synchronised`: media time is UTC, each stream begins live. `rtmp_keeps`: RTMP resends as well.
        `broken`: rules that are not kept: probe, headers, timeout, end, idle.
        `ca`: PEM file of who has to vouch for the other side over TLS, in place of the system's authorities; `insecure`: nobody has to;
        `identity`: PEM files of the encoder's own certificate and key. A URL may have a user and a password.
        A fault: (position of its stream, name, number of the fault, whether streams draw apart, media seconds (from, within, every), value
        in seconds, bytes or a count).

        Raises:
            ValueError: a URL that can't be pushed to, a number out of range, or a name that means nothing.
        """

    def run(self) -> None:
        """Plays until every stream has ended, with the GIL released; faults of single streams are in stats()."""

    def stop(self) -> None:
        """Ends all streams in good order (from another thread); run() returns soon."""

    def stats(self) -> list[StreamStats]:
        """A snapshot, in the order of the streams."""

# --- small exact helpers

def crc32c(data: bytes) -> int: ...

# --- replay of a journal

@final
class FoldedTrack:
    """A track behind a stretch: `pending` are the fields of FragmentWritten, `rows` ten columns of int64 one after the other."""

    number: int
    last_time: int
    last_end: int
    begun: int
    reached: int
    segment: int
    config: int
    discontinuity: int
    pending: list[_Numbers]
    rows: bytes

@final
class Folded:
    """What a stretch of a journal did to the ledger."""

    end: int
    """Where it ends in the file."""
    records: int
    refused: int
    edges: int
    tracks: list[FoldedTrack]
    opened: list[tuple[int, int, str, int]]
    """Fields of BlobOpened."""
    used: list[int]
    """Blobs that its fragments and rows point into."""
    checkpoint: int | None
    """The furthest offset that is covered."""
    recent: list[tuple[int, _Numbers]]
    """Fragments that no checkpoint covers: end of the record, fields of FragmentWritten."""
    media: list[tuple[int, int]] | None
    """(track, time) of the media of its last rows, when a part may begin with them."""
    before_ns: int
    """Start of the newest row before those."""

def fold_journal(data: bytes, at: int, tracks: list[Track], part: Period | None, usual_ns: int, known: list[int]) -> Folded:
    """Folds blobs, fragments, rows and checkpoints from `at` on, up to the first other record, damage, unknown blob or line-up."""

@final
class DeflatedBlock:
    """Text deflated once, to be put together with others into one gzip member."""

    size: int

def deflate_block(data: bytes) -> DeflatedBlock: ...
def join_blocks(blocks: list[DeflatedBlock]) -> tuple[DeflatedBlock, list[DeflatedBlock]]:
    """One block of several in order, and these again as parts of it: keep those instead, and the bytes are in memory once."""

def assemble_gzip(parts: list[bytes | DeflatedBlock]) -> tuple[bytes, ...]:
    """One gzip member of texts and blocks in order, in pieces: a joined block is shared, not copied."""

@final
class Networks:
    """An allow-list of addresses: single address, CIDR (host bits tolerated), dotted mask, IPv6; 0.0.0.0/0 is everybody."""

    def __new__(cls, rules: list[str]) -> Self:
        """Raises ValueError naming the rule that can't be read."""

    def allows(self, address: str) -> bool: ...
    def empty(self) -> bool: ...

@final
class Proxies:
    """The proxies that are believed about whom they saw."""

    def __new__(cls, trusted: list[str], header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for") -> Self:
        """Those with these addresses and in these networks, in the one header that they append to.

        Raises:
            CoreError: NETWORK_INVALID.
            ValueError: another header.
        """

    @property
    def header(self) -> str:
        """The header, in lower case."""

    def viewer(self, peer: str, lines: list[str]) -> str:
        """The address nearest to us that is no trusted proxy's, else the last of all: `peer`'s, or one of the header's lines."""

@final
class Policy:
    """What a streaming endpoint demands of its viewers. Its secret is in no repr."""

    def __new__(
        cls,
        *,
        running: bool,
        allow: list[str] = ...,
        hosts: list[str] = ...,
        secret: str | None = None,
        origins: list[str] | None = None,
    ) -> Self:
        """A policy.

        Args:
            running: content streams.
            allow: addresses that may watch; empty: all.
            hosts: names by which they may ask; empty: any.
            secret: what the CDN sends; None: nothing.
            origins: sites whose pages may read answers; None: all.

        Raises:
            CoreError: NETWORK_INVALID.
        """

    def judge(self, viewer: str, host: str, secret: str) -> str | None:
        """None, or why not: ENDPOINT_STOPPED, CDN_SECRET_MISSING, HOST_NOT_SERVED, VIEWER_NOT_ALLOWED.

        Args:
            viewer: address of who asks; what is none is on no list.
            host: by which it asks, with or without a port.
            secret: what it sends in the field of the CDN's.
        """

    def reads(self, origin: str) -> bool:
        """Whether pages of a site may read answers."""

    @property
    def running(self) -> bool: ...
    @property
    def open(self) -> bool:
        """Whether pages of all sites may."""

def sign_token(key: tuple[str, bytes], root: str, expires: int, viewer: IPv4Address | IPv6Address | None = None) -> str:
    """A token for what is below `root`, the last element of which is to stand behind it, as `~{token}`.

    Args:
        key: id and secret.
        root: as a gate's.
        expires: seconds since 1970.
        viewer: for requests from this address only.
    """

def split_token(path: str) -> tuple[str, str, str] | None:
    """What stands before the token of a path, the token, and what stands behind it; None without one."""
