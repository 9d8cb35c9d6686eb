"""The store of one channel: its journal, its blobs, its ledger.

In: fragments and decisions, in order; completions of the writer. Out: presentations. Never: a socket, a clock, a wait.

Theory of operation. Each call makes a record, hands it to the writer (outgoing.py) and returns a ticket; the record is folded into the
ledger when the writer says that it is written (`finished`), so nothing is shown that a restart would not find. Numbers that the record
needs (offset, blob, configuration) are reserved at the call (reserve.py). A record that can't be written is reported and forgotten, but one
that moves the published edge: it is reported and sent again (edge.py). What is written to are files.py's, how they end and begin is
rollover.py's, and which of them a window needs is retention.py's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pypackager.dvr import retention
from pypackager.dvr.blobs import BlobStore, LocalBlobs
from pypackager.dvr.clip import Bounds
from pypackager.dvr.edge import EDGE_RECORDS, MAX_ROWS
from pypackager.dvr.entry import Entry
from pypackager.dvr.files import Files, OpenBlob, journal_name
from pypackager.dvr.ledger import Ledger, RefusedError
from pypackager.dvr.lock import lock_directory
from pypackager.dvr.outgoing import Outgoing
from pypackager.dvr.past import Past, read_past
from pypackager.dvr.records import Checkpoint, JournalRecord
from pypackager.dvr.recovery import BLOBS, JOURNALS, Replay, Report, repair
from pypackager.dvr.reserve import Reservations
from pypackager.dvr.rollover import RollOver
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
    Reset,
    Row,
    SignalReceived,
    SignalsAdded,
    TargetRaised,
    TrackAdded,
    TrackPlaced,
)
from pypackager.model.signal import Signal
from pypackager.model.track import TrackConfig, TrackInfo

RESTART_VERSIONS = 1 << 16
"""Versions skipped at a start: those that a power loss may have taken back are not used for other content."""

SimpleRecord = Anchored | ClockPlaced | TrackPlaced | Measured | TargetRaised | Peak | SignalsAdded | SignalReceived | Reset | Event


class ChannelStore:
    """Owner of one channel's directory. Made by `open`.

    Resources: holds a lock on the directory and open files in the writer until `close`.
    """

    def __init__(self, directory: Path, writer: Writing, lock: int, replay: Replay, past: Past) -> None:
        self.directory = directory
        self.past = past
        self.ledger: Ledger = replay.ledger
        self.report: Report = replay.report
        self.blobs: BlobStore = LocalBlobs(directory)
        self.watchers: list[FileWatcher] = []
        self._writer = writer
        self._lock = lock
        self._files = Files(writer, self.blobs)
        self._outgoing = Outgoing(writer, self._files)
        self._roll = RollOver(self.ledger, self._files, self._outgoing, self.watchers)
        self._reserved = Reservations(self.ledger)
        self._next_blob = self.ledger.next_blob
        self._views: dict[str, View] = {}

    @classmethod
    def open(cls, directory: Path, writer: Writing, now_ns: int) -> ChannelStore:
        """Takes a channel's directory over, replays and repairs it. Reads a lot: call it in a thread.

        Raises:
            PackagerError: CHANNEL_LOCKED when another process owns the channel, JOURNAL_FORMAT for a journal of another version,
                CHANNEL_PAST_UNREADABLE.
            OSError: the directory can't be read or written.
        """
        for name in (JOURNALS, BLOBS):
            (directory / name).mkdir(parents=True, exist_ok=True)
        lock = lock_directory(directory)
        try:
            replay = Replay(directory)
            lost = repair(directory, replay)
            store = cls(directory, writer, lock, replay, read_past(directory))
            store._start(replay, lost, now_ns)
        except BaseException:
            os.close(lock)
            raise
        return store

    def _start(self, replay: Replay, lost: Sequence[JournalRecord], now_ns: int) -> None:
        ledger = self.ledger
        ledger.version = max(ledger.version, self.past.version) + RESTART_VERSIONS
        self._roll.start(max(replay.numbers, default=0) + 1, lost, now_ns)
        for record in lost:
            ledger.apply(record)
        # What the last process did not sync is in the page cache at best: the first checkpoint has to cover it.
        stale = {ledger.blobs[f.blob].opened.name for f in replay.recent if f.blob in ledger.blobs}
        names = [name for name in sorted(stale) if self.blobs.size(name) >= 0]
        names += [journal_name(n) for n in replay.numbers[-1:] if self.blobs.size(journal_name(n)) >= 0]
        self._files.retire([self._writer.open(self.blobs.path(name)) for name in names])

    # --- records

    def add_track(self, info: TrackInfo) -> int:
        """A track joins the channel.

        Raises:
            PackagerError: TRACK_EXISTS when its number or id is taken.
        """
        self._reserved.add_track(info)
        return self._outgoing.submit(TrackAdded(info))

    def add_config(self, track: int, value: TrackConfig) -> int:
        """Number of a track's configuration; it is recorded when it is new."""
        number, new = self._reserved.add_config(track, value)
        if new:
            self._outgoing.submit(ConfigAdded(track, number, value))
        return number

    def append(self, record: SimpleRecord) -> int:
        """Records a decision that needs no number of the store's: anchor, clock, rhythm, target, peak, signal, reset, event."""
        return self._outgoing.submit(record)

    def open_period(self, start_ns: int) -> int:
        """What is published from here on belongs to a new period. Numbers count from 0."""
        numbers = [period.number for period in self.ledger.periods]
        numbers += [entry.record.period for entry in self._outgoing if isinstance(entry.record, PeriodOpened)]
        return self._outgoing.submit(PeriodOpened(max(numbers, default=-1) + 1, start_ns))

    def put_fragment(self, track: int, fragment: Muxed, config: int, flags: int, index: int = -1) -> int:
        """Writes a fragment: bytes to the track's blob, then the record. It is pending in the ledger once that is done.

        Raises:
            PackagerError: TIME_USED when the track has, or had, as much at that time; CONFIG_UNKNOWN, TRACK_UNKNOWN; EDGE_STUCK (507)
                while the disk does not take the published edge and no more rows may wait for it.
            OSError: a new blob can't be opened.
        """
        if self._outgoing.stuck:
            detail = f"{MAX_ROWS} rows wait for a disk that takes nothing; fragments are dropped until it does"
            raise PackagerError("EDGE_STUCK", detail, status=507, where=str(self.directory), fault="operator")
        time, partial = fragment.time, bool(flags & FLAG_PARTIAL)
        reserved = self._reserved.may_put(track, time, fragment.duration, config, partial=partial)
        blob = self._files.open.get(track)
        if blob is None or blob.config != config:
            blob = self._open_blob(reserved.info, config, reserved.configs[config])
        offset = blob.reserve(fragment.size)
        reserved.put(time, fragment.duration, partial=partial)
        record = FragmentWritten(
            track, time, fragment.duration, blob.number, offset, fragment.size, config, flags, fragment.crc, fragment.samples, index
        )
        return self._outgoing.submit(record, fragment, blob.handle)

    def publish(self, rows: Sequence[Row]) -> int:
        """Moves the published edge. A row without FLAG_GAP names a fragment that was put before; should that fail, it is a gap.

        Raises:
            PackagerError: EDGE_BACKWARDS when times or segment numbers of a track do not rise, FRAGMENT_UNKNOWN, TRACK_UNKNOWN.
        """
        self._reserved.list_rows(rows)
        return self._outgoing.submit(Published(tuple(rows)))

    def finished(self, ticket: int, error: int) -> list[Completion]:
        """Takes a completion of the writer; of a ticket that is not this channel's, there is nothing to tell."""
        done: list[Completion] = []
        if entries := self._outgoing.answered(ticket):
            # What failed together failed with the first: nothing that stands on it has been tried.
            done += [self._settle(entry, error) for entry in (entries[:1] if error else entries)]
            if isinstance(entries[0].record, EDGE_RECORDS):
                self._outgoing.follow(fine=not error)
        elif (sync := self._files.synced(ticket, error)) is not None:
            if sync.ticket:
                done.append(Completion(sync.ticket, None, error))
                if self._files.trusted and sync.file == self._files.number:
                    self._outgoing.submit(Checkpoint(sync.size))
        elif not self._files.head_written(ticket, error):
            return done
        self._roll.go_on()
        return done

    @property
    def newest(self) -> int:
        """The newest ticket."""
        return self._outgoing.newest

    def settled(self, ticket: int) -> bool:
        """Whether the writer has answered for every record up to a ticket: the ledger has them, or they failed and are not sent again."""
        return self._outgoing.settled(ticket)

    @property
    def memory(self) -> int:
        """Bytes of what waits for the writer's answer, but for those that the writer has and counts itself."""
        return self._outgoing.memory

    def retry(self) -> None:
        """Sends the record of the published edge again that the disk did not take; those behind it follow."""
        self._outgoing.retry()

    # --- files

    def roll_due(self, now_ns: int) -> bool:
        """Whether to roll over before the segment start that is about to be published; asked at each."""
        return self._roll.due(now_ns)

    def roll(self, now_ns: int) -> None:
        """Ends the open blobs and the journal file; what is put from here on goes to new ones."""
        self._roll.begin(now_ns)

    @property
    def roll_errno(self) -> int:
        """Why the last roll-over did not happen (it is due again at once); 0 when it did."""
        return self._roll.errno

    def sync(self) -> int | None:
        """Brings everything finished so far to the disk: blobs first, then the journal, then a checkpoint. None: nothing to do."""
        if not self._files.dirty:
            return None
        ticket = self._outgoing.ticket()
        self._files.sync(ticket)
        return ticket

    def trim(self, retention_ns: int) -> int:
        """Gives up files whose rows all ended more than `retention_ns`, or a running asset's window, before the published edge.

        Returns:
            How many journal files went.
        """
        for watcher in self.watchers:
            watcher.trim()
        keep = retention.oldest_file(self.ledger, max([retention_ns, *(watcher.window_ns for watcher in self.watchers)]))
        count = 0
        while self.ledger.files[0].number < keep:
            retention.forget_oldest(self.ledger, self.blobs)
            count += 1
        return count

    def trim_oldest(self) -> bool:
        """Disk low: gives up the oldest files, in running assets too. False when only the files being written are left."""
        oldest = self.ledger.files[0].number
        if any(watcher.give_up_older(oldest) for watcher in self.watchers):
            return True
        if len(self.ledger.files) < 2:
            return False
        for name in retention.forget_oldest(self.ledger, self.blobs):
            for watcher in self.watchers:
                watcher.file_dropped(name)
        return True

    @property
    def syncing(self) -> bool:
        """Whether the disk has not answered to a sync: a slow one is not asked for more of them."""
        return self._files.syncing

    def close(self) -> None:
        """Closes the files and gives the lock back; the writer must have answered for every record."""
        self._files.close()
        os.close(self._lock)

    # --- views

    def stored(self, track: int, time: int, slack_ns: int = 10_000_000) -> tuple[int, int, bool] | None:
        """Of the fragment that was published at this time, give or take so much, and is kept: duration, bytes, whether it is whole."""
        known = self.ledger.tracks.get(track)
        if known is None:
            # The record of a track that has just joined is still on its way to the disk.
            return None
        columns = known.columns
        slack = known.info.timescale * slack_ns // 10**9
        if (fragment := self._reserved.listed(track, time - slack, time + slack)) is not None:
            # It is published when `publish` returns; its row may wait for the disk.
            return fragment.duration, fragment.size, not fragment.flags & FLAG_PARTIAL
        row = columns.first_from(time - slack)
        if row >= columns.end or columns.time_at(row) > time + slack or columns.flags_at(row) & FLAG_GAP:
            return None
        return columns.end_at(row) - columns.time_at(row), columns.size_between(row, row + 1), not columns.flags_at(row) & FLAG_PARTIAL

    def signal_at(self, track: int, time: int) -> Signal | None:
        """The signal of a track of signals at exactly this time that is still kept."""
        line = self.ledger.signals.lines.get(track)
        return None if line is None else line.at(time)

    def edge_ns(self) -> int:
        """Media time at which the newest row ends."""
        return retention.edge_ns(self.ledger)

    def position(self) -> tuple[int, int]:
        """(file number, bytes) of the journal that the ledger is the fold of."""
        return self._files.number, self._files.size

    def files_since(self, first: int) -> list[str]:
        """Names of journal files from number `first` on, and of all blobs that they point, or may come to point, into."""
        underway = [entry.record for entry in self._outgoing]
        return retention.files_since(self.ledger, first, underway, [blob.number for blob in self._files.open.values()])

    def presentation(
        self, name: str, window_ns: int, start_ns: int | None = None, end_ns: int | None = None, *, ended: bool = False
    ) -> Presentation:
        """What the channel published since its last reset: the newest `window_ns`, or the part from `start_ns` to `end_ns` (media time).

        It is cut at segment borders.
        """
        view = self._views.get(name)
        if view is None:
            view = self._views[name] = View(name, self.ledger, self.blobs)
        return view.present(Bounds(window_ns, self.ledger.since, start_ns=start_ns, end_ns=end_ns), ended=ended)

    # --- inside

    def _settle(self, entry: Entry, error: int) -> Completion:
        record = entry.record
        reason = ""
        if not error:
            # A checkpoint alone is not worth another sync.
            self._files.grown(len(entry.frame), dirty=not isinstance(record, Checkpoint))
            try:
                self.ledger.apply(record)
            except RefusedError as refusal:
                reason = str(refusal)
        if isinstance(record, FragmentWritten):
            self._reserved.answered(record)
        elif isinstance(record, Published) and not error:
            self._reserved.were_listed(record.rows)
        if (error or reason) and not isinstance(record, EDGE_RECORDS):
            self._undo(record)
        return Completion(entry.ticket, record, error, reason)

    def _undo(self, record: JournalRecord) -> None:
        """Takes back what the call of a failed record reserved."""
        if isinstance(record, FragmentWritten):
            self._files.shrink(record)
        elif isinstance(record, BlobOpened):
            self._files.abandon(record.track, record.blob)
            # Nothing points to it; while the disk is full each fragment would leave another.
            self._drop(record.name)
        else:
            self._reserved.undo(record)

    def _drop(self, name: str) -> None:
        # What can't be removed now is removed by the next start.
        with suppress(OSError):
            self.blobs.unlink(name)
            for watcher in self.watchers:
                watcher.file_dropped(name)

    def _open_blob(self, info: TrackInfo, config: int, value: TrackConfig) -> OpenBlob:
        number = self._next_blob
        self._next_blob += 1
        blob = self._files.open_blob(number, info, config, value)
        self._outgoing.submit(BlobOpened(number, info.number, blob.name, config))
        for watcher in self.watchers:
            watcher.file_opened(blob.name)
        return blob
