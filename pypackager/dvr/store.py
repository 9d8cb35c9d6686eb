"""The store of one channel: its journal, its blobs, its ledger.

In: fragments and decisions, in order; completions of the writer. Out: presentations. Never: a socket, a clock, a wait.

Theory of operation. Each call makes a record, hands it to the writer and returns a ticket; the record is folded into the ledger when the
writer says that it is written (`finished`), so nothing is shown that a restart would not find. Numbers that the record needs (offset,
blob, configuration) are reserved at the call. A record that can't be written is reported and forgotten, but one that moves the published
edge: it is reported and sent again (edge.py).

Roll-over: from `roll` on, records are held until the writer has answered for all earlier ones; at that instant the ledger is exactly
the fold of the old journal file, and its snapshot opens the new one. Open blobs end with the old file.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from pypackager.dvr import journal
from pypackager.dvr.blobs import BlobStore, LocalBlobs
from pypackager.dvr.clip import NS, Bounds
from pypackager.dvr.edge import EDGE_RECORDS, EdgeLine
from pypackager.dvr.ledger import Ledger, RefusedError
from pypackager.dvr.records import Checkpoint, JournalRecord
from pypackager.dvr.recovery import BLOBS, JOURNALS, Replay, Report, repair
from pypackager.dvr.reserve import Entry, OpenBlob, Reserved
from pypackager.dvr.view import View
from pypackager.dvr.writing import Completion, FileWatcher, Muxed, Writing
from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation
from pypackager.model.records import (
    FLAG_GAP,
    FLAG_PARTIAL,
    Anchored,
    BlobOpened,
    ClockPlaced,
    ConfigAdded,
    Event,
    FragmentWritten,
    Measured,
    Peak,
    PeriodOpened,
    Published,
    Row,
    TargetRaised,
    TrackAdded,
    TrackPlaced,
)
from pypackager.model.track import TrackConfig, TrackInfo

ROLL_NS = 300 * NS
"""Blobs and journal files roll over at multiples of this in UTC."""
RESTART_VERSIONS = 1 << 16
"""Versions skipped at a start: those that a power loss may have taken back are not used for other content."""

SimpleRecord = Anchored | ClockPlaced | TrackPlaced | Measured | TargetRaised | Peak | Event


class ChannelStore:
    """Owner of one channel's directory. Made by `open`.

    Resources: holds a lock on the directory and open files in the writer until `close`.
    """

    def __init__(self, directory: Path, writer: Writing, lock: int, replay: Replay) -> None:
        self.directory = directory
        self.ledger: Ledger = replay.ledger
        self.report: Report = replay.report
        self.blobs: BlobStore = LocalBlobs(directory)
        self.watchers: list[FileWatcher] = []
        self.roll_errno = 0
        """Why the last roll-over did not happen (it is due again at once); 0 when it did."""
        self._writer = writer
        self._lock = lock
        self._tracks: dict[int, Reserved] = {}
        self._open: dict[int, OpenBlob] = {}
        self._next_blob = self.ledger.next_blob
        self._in_flight: dict[int, Entry] = {}
        self._heads: dict[int, tuple[int, int]] = {}
        self._held: list[Entry] = []
        self._edge = EdgeLine()
        self._rolling_ns: int | None = None
        self._retired: list[int] = []
        self._late: list[int] = []
        self._slot = -1
        self._ticket = 0
        self._journal = -1
        self._journal_size = 0
        self._journal_dirty = False
        self._syncs: dict[int, tuple[int, int, int]] = {}
        self._sync_failed = False
        self._views: dict[str, View] = {}

    @classmethod
    def open(cls, directory: Path, writer: Writing, now_ns: int) -> ChannelStore:
        """Takes a channel's directory over, replays and repairs it. Reads a lot: call it in a thread.

        Raises:
            PackagerError: CHANNEL_LOCKED when another process owns the channel, JOURNAL_FORMAT for a journal of another version.
            OSError: the directory can't be read or written.
        """
        for name in (JOURNALS, BLOBS):
            (directory / name).mkdir(parents=True, exist_ok=True)
        lock = _lock(directory)
        try:
            replay = Replay(directory)
            lost = repair(directory, replay)
            store = cls(directory, writer, lock, replay)
            store._start(replay, lost, now_ns)
        except BaseException:
            os.close(lock)
            raise
        return store

    def _start(self, replay: Replay, lost: Sequence[JournalRecord], now_ns: int) -> None:
        ledger = self.ledger
        ledger.version += RESTART_VERSIONS
        number = max(replay.numbers, default=0) + 1
        self._begin_file(number, lost)
        for record in lost:
            ledger.apply(record)
        for track in ledger.tracks.values():
            reserved = self._tracks[track.info.number] = Reserved(track.info)
            reserved.configs = dict(track.configs)
            reserved.next_config = track.next_config
            reserved.last_time = track.last_time
            reserved.segment = track.segment
        self._slot = now_ns // ROLL_NS
        # What the last process did not sync is in the page cache at best: the first checkpoint has to cover it.
        stale = {ledger.blobs[f.blob].opened.name for f in replay.recent if f.blob in ledger.blobs}
        names = [name for name in sorted(stale) if self.blobs.size(name) >= 0]
        names += [journal_name(n) for n in replay.numbers[-1:] if self.blobs.size(journal_name(n)) >= 0]
        self._retire([self._writer.open(self.blobs.path(name)) for name in names])

    # --- records

    def add_track(self, info: TrackInfo) -> int:
        """A track joins the channel.

        Raises:
            PackagerError: TRACK_EXISTS when its number or id is taken.
        """
        if any(other.info.number == info.number or other.info.id == info.id for other in self._tracks.values()):
            raise _misuse("TRACK_EXISTS", f"track {info.number} or id {info.id!r} is taken")
        self._tracks[info.number] = Reserved(info)
        return self._submit(TrackAdded(info))

    def add_config(self, track: int, value: TrackConfig) -> int:
        """Number of a track's configuration; it is recorded when it is new."""
        reserved = self._reserved(track)
        for number, known in reserved.configs.items():
            if known.hash == value.hash:
                return number
        number = reserved.next_config
        reserved.next_config += 1
        reserved.configs[number] = value
        self._submit(ConfigAdded(track, number, value))
        return number

    def append(self, record: SimpleRecord) -> int:
        """Records a decision that needs no number of the store's: anchor, clock, rhythm, target, peak, event."""
        return self._submit(record)

    def open_period(self, start_ns: int) -> int:
        """What is published from here on belongs to a new period. Numbers count from 0."""
        pending = [entry.record for entry in self._underway() if isinstance(entry.record, PeriodOpened)]
        numbers = [period.number for period in self.ledger.periods] + [record.period for record in pending]
        return self._submit(PeriodOpened(max(numbers, default=-1) + 1, start_ns))

    def put_fragment(self, track: int, fragment: Muxed, config: int, flags: int) -> int:
        """Writes a fragment: bytes to the track's blob, then the record. It is pending in the ledger once that is done.

        Raises:
            PackagerError: TIME_USED when the track has, or had, something at that time; CONFIG_UNKNOWN, TRACK_UNKNOWN.
            OSError: a new blob can't be opened.
        """
        reserved = self._reserved(track)
        if config not in reserved.configs:
            raise _misuse("CONFIG_UNKNOWN", f"track {track} has no configuration {config}")
        time, partial = fragment.time, bool(flags & FLAG_PARTIAL)
        if time <= reserved.last_time or not reserved.may_put(time, partial=partial) or self._has_whole(track, time):
            raise _misuse("TIME_USED", f"track {track} has something at {time} already")
        blob = self._open.get(track)
        if blob is None or blob.config != config:
            blob = self._open_blob(reserved, config)
        offset = blob.size
        blob.size += fragment.size
        blob.dirty = True
        reserved.put(time, partial=partial)
        record = FragmentWritten(
            track, time, fragment.duration, blob.number, offset, fragment.size, config, flags, fragment.crc, fragment.samples
        )
        return self._submit(record, fragment)

    def publish(self, rows: Sequence[Row]) -> int:
        """Moves the published edge. A row without FLAG_GAP names a fragment that was put before; should that fail, it is a gap.

        Raises:
            PackagerError: EDGE_BACKWARDS when times or segment numbers of a track do not rise, FRAGMENT_UNKNOWN, TRACK_UNKNOWN.
        """
        last: dict[int, tuple[int, int]] = {}
        for row in rows:
            reserved = self._reserved(row.track)
            time, segment = last.get(row.track, (reserved.last_time, reserved.segment))
            if row.time <= time or row.segment < segment:
                detail = f"track {row.track}: row at {row.time}, segment {row.segment} after {time}, {segment}"
                raise _misuse("EDGE_BACKWARDS", detail)
            if not row.flags & FLAG_GAP and not reserved.on_its_way(row.time) and not self._is_pending(row.track, row.time):
                raise _misuse("FRAGMENT_UNKNOWN", f"track {row.track} has no fragment at {row.time}")
            last[row.track] = (row.time, row.segment)
        for track, (time, segment) in last.items():
            reserved = self._tracks[track]
            reserved.last_time, reserved.segment = time, segment
        return self._submit(Published(tuple(rows)))

    def finished(self, ticket: int, error: int) -> list[Completion]:
        """Takes a completion of the writer; of a ticket that is not this channel's, there is nothing to tell."""
        entry = self._in_flight.pop(ticket, None)
        done: list[Completion] = []
        if entry is not None:
            done.append(self._settle(entry, error))
        elif (head := self._heads.pop(ticket, None)) is not None:
            # Without its header the file is no CMAF track file: the next fragment opens another.
            if error:
                self._abandon(*head)
        elif (sync := self._syncs.pop(ticket, None)) is not None:
            self._sync_failed = self._sync_failed or bool(error)
            own, number, size = sync
            if own:
                done.append(Completion(own, None, error))
            # After a failed sync the kernel may have dropped pages and call the next one fine: no checkpoint vouches for them.
            if own and not self._sync_failed and number == self.ledger.files[-1].number:
                self._submit(Checkpoint(size))
        else:
            return done
        if self._rolling_ns is not None and not self._in_flight and not self._heads:
            self._turn()
        return done

    @property
    def newest(self) -> int:
        """The newest ticket."""
        return self._ticket

    def settled(self, ticket: int) -> bool:
        """Whether the writer has answered for every record up to a ticket: the ledger has them, or they failed and are not sent again."""
        return all(entry.ticket > ticket for entry in self._underway())

    def retry(self) -> None:
        """Sends the record of the published edge again that the disk did not take; those behind it follow."""
        if self._rolling_ns is None and (entry := self._edge.again()) is not None:
            self._send(entry)

    # --- files

    def roll_due(self, now_ns: int) -> bool:
        """Whether UTC has passed a multiple of the roll-over time since the files were opened; the next segment start is the place."""
        return self._rolling_ns is None and now_ns // ROLL_NS != self._slot

    def roll(self, now_ns: int) -> None:
        """Ends the open blobs and the journal file; what is put from here on goes to new ones."""
        if self._rolling_ns is not None:
            return
        self._rolling_ns = now_ns
        self._retired += [blob.handle for blob in self._open.values()]
        self._open.clear()
        if not self._in_flight and not self._heads:
            self._turn()

    def sync(self) -> int | None:
        """Brings everything finished so far to the disk: blobs first, then the journal, then a checkpoint. None: nothing to do."""
        dirty = [blob for blob in self._open.values() if blob.dirty]
        if not dirty and not self._journal_dirty:
            return None
        for blob in dirty:
            blob.dirty = False
        self._journal_dirty = False
        self._ticket += 1
        ticket = self._writer.sync([*(blob.handle for blob in dirty), *self._retired, self._journal])
        self._syncs[ticket] = (self._ticket, self.ledger.files[-1].number, self._journal_size)
        return self._ticket

    def trim(self, retention_ns: int) -> int:
        """Gives up files whose rows all ended more than `retention_ns`, or a running asset's window, before the published edge.

        Returns:
            How many journal files went.
        """
        for watcher in self.watchers:
            watcher.trim()
        keep = self.oldest_file(max([retention_ns, *(watcher.window_ns for watcher in self.watchers)]))
        count = 0
        while self.ledger.files[0].number < keep:
            self._forget(everywhere=False)
            count += 1
        return count

    def trim_oldest(self) -> bool:
        """Disk low: gives up the oldest files, in running assets too. False when only the files being written are left."""
        if len(self.ledger.files) < 2:
            return False
        self._forget(everywhere=True)
        return True

    def close(self) -> None:
        """Seals what is open and gives the lock back; the writer must have answered for everything."""
        self._retire([*(blob.handle for blob in self._open.values()), *self._retired, self._journal])
        self._open.clear()
        os.close(self._lock)

    # --- views

    def edge_ns(self) -> int:
        """Media time at which the newest row ends."""
        return max((t.last_end * NS // t.info.timescale for t in self.ledger.tracks.values()), default=0)

    def position(self) -> tuple[int, int]:
        """(file number, bytes) of the journal that the ledger is the fold of."""
        return self.ledger.files[-1].number, self._journal_size

    def files_since(self, first: int) -> list[str]:
        """Names of journal files from number `first` on, and of all blobs that they point, or may come to point, into."""
        ledger = self.ledger
        underway = [entry.record for entry in self._underway()]
        blobs = {f.blob for track in ledger.tracks.values() for f in track.pending.values()}
        blobs |= {blob.number for blob in self._open.values()}
        blobs |= {record.blob for record in underway if isinstance(record, FragmentWritten)}
        names = [journal_name(file.number) for file in ledger.files if file.number >= first]
        names += [blob.opened.name for number, blob in ledger.blobs.items() if blob.last_file >= first or number in blobs]
        return names + [record.name for record in underway if isinstance(record, BlobOpened)]

    def oldest_file(self, window_ns: int) -> int:
        """Number of the oldest journal file with a row that ended less than `window_ns` before the published edge."""
        limit_ns = self.edge_ns() - window_ns
        files = self.ledger.files
        for i in range(len(files) - 1):
            for number, row in files[i + 1].rows.items():
                track = self.ledger.tracks[number]
                if row > track.columns.first and track.columns.end_at(row - 1) * NS // track.info.timescale > limit_ns:
                    return files[i].number
        return files[-1].number

    def presentation(
        self, name: str, window_ns: int, start_ns: int | None = None, end_ns: int | None = None, *, ended: bool = False
    ) -> Presentation:
        """The newest `window_ns` of the channel, or the part of it from `start_ns` to `end_ns` (media time), at segment borders."""
        view = self._views.get(name)
        if view is None:
            view = self._views[name] = View(name, self.ledger, self.blobs)
        return view.present(Bounds(window_ns, start_ns=start_ns, end_ns=end_ns), ended=ended)

    # --- inside

    def _reserved(self, track: int) -> Reserved:
        reserved = self._tracks.get(track)
        if reserved is None:
            raise _misuse("TRACK_UNKNOWN", f"the channel has no track {track}")
        return reserved

    def _is_pending(self, track: int, time: int) -> bool:
        known = self.ledger.tracks.get(track)
        return known is not None and time in known.pending

    def _has_whole(self, track: int, time: int) -> bool:
        # A fragment that its source left unfinished may be replaced until the edge has passed it.
        return self._is_pending(track, time) and not self.ledger.tracks[track].pending[time].flags & FLAG_PARTIAL

    def _submit(self, record: JournalRecord, fragment: Muxed | None = None) -> int:
        self._ticket += 1
        handle = self._open[record.track].handle if isinstance(record, FragmentWritten) else -1
        entry = Entry(self._ticket, record, fragment, handle)
        if self._rolling_ns is not None:
            self._held.append(entry)
        else:
            self._issue(entry)
        return entry.ticket

    def _underway(self) -> list[Entry]:
        """All entries that are not in the journal yet."""
        return [*self._in_flight.values(), *self._edge, *self._held]

    def _issue(self, entry: Entry) -> None:
        if not isinstance(entry.record, EDGE_RECORDS):
            self._send(entry)
        elif (first := self._edge.add(entry)) is not None:
            self._send(first)

    def _send(self, entry: Entry) -> None:
        record = entry.record
        if isinstance(record, FragmentWritten):
            ticket = self._writer.write_fragment(entry.blob, record.offset, entry.fragment, self._journal, entry.frame)
        else:
            ticket = self._writer.append(self._journal, entry.frame)
        self._in_flight[ticket] = entry

    def _settle(self, entry: Entry, error: int) -> Completion:
        record = entry.record
        reason = ""
        if not error:
            self._journal_size += len(entry.frame)
            # A checkpoint alone is not worth another sync.
            self._journal_dirty = self._journal_dirty or not isinstance(record, Checkpoint)
            try:
                self.ledger.apply(record)
            except RefusedError as refusal:
                reason = str(refusal)
        if isinstance(record, FragmentWritten):
            self._tracks[record.track].answered(record.time, partial=bool(record.flags & FLAG_PARTIAL))
        if isinstance(record, EDGE_RECORDS):
            if (following := self._edge.answered(fine=not error)) is not None:
                self._send(following)
        elif error or reason:
            self._undo(record)
        return Completion(entry.ticket, record, error, reason)

    def _undo(self, record: JournalRecord) -> None:
        """Takes back what the call of a failed record reserved."""
        match record:
            case FragmentWritten():
                blob = self._open.get(record.track)
                if blob is not None and blob.number == record.blob and blob.size == record.offset + record.size:
                    blob.size = record.offset
            case BlobOpened():
                self._abandon(record.track, record.blob)
            case TrackAdded() if record.info.number not in self.ledger.tracks:
                self._tracks.pop(record.info.number, None)
            case ConfigAdded() if record.track in self._tracks:
                self._tracks[record.track].configs.pop(record.config, None)
            case _:
                pass

    def _open_blob(self, reserved: Reserved, config: int) -> OpenBlob:
        info, init = reserved.info, reserved.configs[config].init
        number = self._next_blob
        self._next_blob += 1
        name = f"{BLOBS}/{info.id}/{number:06d}.cmf{info.kind[0]}"
        path = self.blobs.path(name)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        blob = OpenBlob(number, self._writer.open(path), config, len(init))
        self._heads[self._writer.append(blob.handle, init)] = (info.number, number)
        if (before := self._open.get(info.number)) is not None:
            self._retire([before.handle])
        self._open[info.number] = blob
        self._submit(BlobOpened(number, info.number, name, config))
        for watcher in self.watchers:
            watcher.file_opened(name)
        return blob

    def _abandon(self, track: int, number: int) -> None:
        blob = self._open.get(track)
        if blob is not None and blob.number == number:
            del self._open[track]
            self._retire([blob.handle])

    def _retire(self, handles: list[int]) -> None:
        """Syncs and closes files that get no more bytes."""
        if self._rolling_ns is not None:
            # Held records may still go to them.
            self._late += handles
        elif handles:
            self._syncs[self._writer.sync(handles)] = (0, 0, 0)
            for handle in handles:
                self._writer.close_file(handle)

    def _turn(self) -> None:
        """All earlier records are folded: the ledger is what the new journal file opens with."""
        now_ns, self._rolling_ns = self._rolling_ns or 0, None
        finished, self._retired = self._retired, []
        before = self._journal
        try:
            self._begin_file(self.ledger.files[-1].number + 1, ())
        except OSError as error:
            self.roll_errno = error.errno or errno.EIO
        else:
            self.roll_errno = 0
            self._slot = now_ns // ROLL_NS
            finished.append(before)
        self._retire(finished)
        held, self._held = self._held, []
        for entry in held:
            self._issue(entry)
        late, self._late = self._late, []
        self._retire(late)

    def _begin_file(self, number: int, extra: Sequence[JournalRecord]) -> None:
        name = journal_name(number)
        path = self.blobs.path(name)
        data = journal.write_header(number) + b"".join(journal.write_frame(record) for record in (self.ledger.snapshot(), *extra))
        # Complete or not there: a file without its snapshot could not be the oldest one day.
        new = Path(path + ".new")
        try:
            new.write_bytes(data)
            new.rename(path)
            self._journal = self._writer.open(path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        self._journal_size = len(data)
        self._journal_dirty = True
        self.ledger.begin_file(number)
        for watcher in self.watchers:
            watcher.file_opened(name)

    def _forget(self, *, everywhere: bool) -> None:
        number, blobs = self.ledger.forget_file()
        # Journal first: a blob without a record is removed by recovery, a record without its blob would be damage.
        names = [journal_name(number), *blobs]
        for name in names:
            self.blobs.unlink(name)
            if everywhere:
                for watcher in self.watchers:
                    watcher.file_dropped(name)


def journal_name(number: int) -> str:
    """Name of a journal file in its channel and in assets."""
    return f"{JOURNALS}/{journal.file_name(number)}"


def _misuse(code: str, detail: str) -> PackagerError:
    return PackagerError(code, detail, status=500, fault="us")


def _lock(directory: Path) -> int:
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        detail = "another process owns the channel"
        raise PackagerError("CHANNEL_LOCKED", detail, status=500, where=str(directory), fault="operator") from error
    return lock
