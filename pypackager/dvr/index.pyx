# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The published rows of a track as NumPy columns.

In: one row at a time, times rising. Out: read-only views without a copy, positions by time or segment, run lengths.
Never: I/O, a decision.

Rows carry absolute numbers that count over the track's life. Row `n` sits at `start + n - first`. Rows are written once, behind
everything that a view can see; when the table is full a new one is made and the old one lives on in the views that hold it.
Bounds are checked once at each entry (`_at`, `_span`), which is why the inner loops go without.
"""

import numpy as np

from libc.stdint cimport int64_t

cdef enum:
    TIME = 0
    DURATION = 1
    SIZE = 2
    SEGMENT = 3
    FLAGS = 4
    CONFIG = 5
    PERIOD = 6
    DISCONTINUITY = 7
    BLOB = 8
    OFFSET = 9
    BEFORE = 10  # bytes of all rows before this one: sums over any range cost two look-ups
    WIDTH = 11
    PUBLIC = 10


cdef class Columns:
    """Append-only columns of one track."""

    cdef object _table
    cdef int64_t[:, ::1] _cells
    cdef Py_ssize_t _start
    cdef Py_ssize_t _length
    cdef bint _frozen
    cdef bint _shared  # views of the table, or a frozen copy, may be about
    cdef readonly int64_t first
    """Absolute number of the oldest row."""

    def __init__(self, int64_t first=0, Py_ssize_t capacity=256):
        if first < 0 or capacity < 1:
            raise ValueError("first and capacity count rows")
        self._table = np.empty((WIDTH, capacity), dtype=np.int64)
        self._cells = self._table
        self._start = 0
        self._length = 0
        self._frozen = False
        self._shared = False
        self.first = first

    def __len__(self):
        return self._length

    @property
    def end(self):
        """Absolute number of the next row."""
        return self.first + self._length

    cpdef append(self, int64_t time, int64_t duration, int64_t size, int64_t segment, int64_t flags, int64_t config,
                 int64_t period, int64_t discontinuity, int64_t blob, int64_t offset):
        """Adds a row behind the last one."""
        cdef Py_ssize_t at = self._start + self._length
        cdef int64_t before = 0
        if self._frozen:
            raise ValueError("a frozen copy takes no rows")
        if self._length:
            if time <= self._cells[TIME, at - 1]:
                raise ValueError(f"row at {time} is not after the last one at {self._cells[TIME, at - 1]}")
            before = self._cells[BEFORE, at - 1] + self._cells[SIZE, at - 1]
        if at == self._cells.shape[1]:
            self._renew(1)
            at = self._length
        self._cells[TIME, at] = time
        self._cells[DURATION, at] = duration
        self._cells[SIZE, at] = size
        self._cells[SEGMENT, at] = segment
        self._cells[FLAGS, at] = flags
        self._cells[CONFIG, at] = config
        self._cells[PERIOD, at] = period
        self._cells[DISCONTINUITY, at] = discontinuity
        self._cells[BLOB, at] = blob
        self._cells[OFFSET, at] = offset
        self._cells[BEFORE, at] = before
        self._length += 1

    def extend(self, const int64_t[:, ::1] rows not None):
        """Adds rows behind the last one, all or none: the ten columns, one after the other."""
        cdef Py_ssize_t count = rows.shape[1]
        cdef Py_ssize_t at = self._start + self._length
        cdef Py_ssize_t i, column
        if rows.shape[0] != PUBLIC:
            raise ValueError(f"rows have {PUBLIC} columns, not {rows.shape[0]}")
        if self._frozen:
            raise ValueError("a frozen copy takes no rows")
        for i in range(count):
            if (i or self._length) and rows[TIME, i] <= (rows[TIME, i - 1] if i else self._cells[TIME, at - 1]):
                raise ValueError(f"row at {rows[TIME, i]} is not after the one before it")
        if at + count > self._cells.shape[1]:
            self._renew(count)
            at = self._length
        for column in range(PUBLIC):
            for i in range(count):
                self._cells[column, at + i] = rows[column, i]
        for i in range(at, at + count):
            self._cells[BEFORE, i] = self._cells[BEFORE, i - 1] + self._cells[SIZE, i - 1] if i > self._start else 0
        self._length += count

    def trim(self, int64_t number):
        """Forgets the rows before absolute row `number`."""
        cdef Py_ssize_t drop
        if number <= self.first:
            return
        drop = <Py_ssize_t>(min(number, self.first + self._length) - self.first)
        self._start += drop
        self._length -= drop
        self.first += drop

    def frozen(self):
        """A copy that takes no rows and shares the table: what it shows is never written again."""
        cdef Columns copy = Columns(self.first, 1)
        copy._table = self._table
        copy._cells = self._cells
        copy._start = self._start
        copy._length = self._length
        copy._frozen = True
        copy._shared = True
        self._shared = True
        return copy

    def copied(self, int64_t low):
        """A copy of the rows from `low` on, in a table of its own, that takes rows."""
        cdef Py_ssize_t a = self._span(low, self.first + self._length)
        cdef Py_ssize_t count = self._start + self._length - a
        cdef Columns copy = Columns(low)
        copy._renew(count)
        copy._table[:, :count] = self._table[:, a:a + count]
        copy._length = count
        return copy

    def mark(self, int64_t number, int64_t flags):
        """Adds flags to a row; views that were given away keep what they show."""
        cdef Py_ssize_t at = self._at(number)
        self._own()
        self._cells[FLAGS, at] |= flags

    def make_gap(self, int64_t number, int64_t flags):
        """Turns a row into a gap; views that were given away keep what they show."""
        cdef Py_ssize_t at = self._at(number)
        self._own()
        self._cells[SIZE, at] = 0
        self._cells[FLAGS, at] = flags
        self._cells[BLOB, at] = -1
        self._cells[OFFSET, at] = 0
        cdef Py_ssize_t i
        for i in range(max(at, self._start) + 1, self._start + self._length):
            self._cells[BEFORE, i] = self._cells[BEFORE, i - 1] + self._cells[SIZE, i - 1]

    def window(self, int64_t low, int64_t high):
        """The ten columns of rows [low, high) as read-only views."""
        cdef Py_ssize_t a = self._span(low, high)
        view = self._table[:PUBLIC, a:a + <Py_ssize_t>(high - low)]
        view.flags.writeable = False
        self._shared = True
        return tuple(view)

    def time_at(self, int64_t number):
        """Start of a row."""
        return self._cells[TIME, self._at(number)]

    def end_at(self, int64_t number):
        """End of a row."""
        cdef Py_ssize_t at = self._at(number)
        return self._cells[TIME, at] + self._cells[DURATION, at]

    def segment_at(self, int64_t number):
        """Segment number of a row."""
        return self._cells[SEGMENT, self._at(number)]

    def flags_at(self, int64_t number):
        """Flags of a row."""
        return self._cells[FLAGS, self._at(number)]

    def size_between(self, int64_t low, int64_t high):
        """Bytes of rows [low, high)."""
        cdef Py_ssize_t a = self._span(low, high)
        cdef Py_ssize_t b = a + <Py_ssize_t>(high - low)
        if a == b:
            return 0
        return self._cells[BEFORE, b - 1] + self._cells[SIZE, b - 1] - self._cells[BEFORE, a]

    def first_from(self, int64_t time):
        """Absolute number of the first row that starts at `time` or later; `end` when there is none."""
        return self.first + self._lower(TIME, time)

    def first_ending_after(self, int64_t time):
        """Absolute number of the first row that ends later than `time`; `end` when there is none."""
        cdef Py_ssize_t i = self._lower(TIME, time + 1)
        cdef Py_ssize_t at
        if i > 0:
            at = self._start + i - 1
            if self._cells[TIME, at] + self._cells[DURATION, at] > time:
                i -= 1
        return self.first + i

    def first_of_segment(self, int64_t segment):
        """Absolute number of the first row of `segment` or a later one; `end` when there is none."""
        return self.first + self._lower(SEGMENT, segment)

    def next_flagged(self, int64_t number, int64_t flag):
        """Absolute number of the first row at `number` or later with `flag`; `end` when there is none."""
        cdef Py_ssize_t i = <Py_ssize_t>(max(number, self.first) - self.first)
        while i < self._length and not self._cells[FLAGS, self._start + i] & flag:
            i += 1
        return self.first + min(i, self._length)

    def last_flagged(self, int64_t number, int64_t flag):
        """Absolute number of the last row at `number` or earlier with `flag`; `first - 1` when there is none."""
        cdef Py_ssize_t i = <Py_ssize_t>(min(number, self.first + self._length - 1) - self.first)
        while i >= 0 and not self._cells[FLAGS, self._start + i] & flag:
            i -= 1
        return self.first + max(i, -1)

    cdef Py_ssize_t _lower(self, int column, int64_t value):
        cdef Py_ssize_t low = 0
        cdef Py_ssize_t high = self._length
        cdef Py_ssize_t middle
        while low < high:
            middle = (low + high) >> 1
            if self._cells[column, self._start + middle] < value:
                low = middle + 1
            else:
                high = middle
        return low

    cdef Py_ssize_t _at(self, int64_t number) except -1:
        if not self.first <= number < self.first + self._length:
            raise IndexError(f"row {number} is not in [{self.first}, {self.first + self._length})")
        return self._start + <Py_ssize_t>(number - self.first)

    cdef Py_ssize_t _span(self, int64_t low, int64_t high) except -1:
        if not self.first <= low <= high <= self.first + self._length:
            raise IndexError(f"rows [{low}, {high}) are not in [{self.first}, {self.first + self._length})")
        return self._start + <Py_ssize_t>(low - self.first)

    cdef int _own(self) except -1:
        if self._shared:
            self._table = self._table.copy()
            self._cells = self._table
            self._shared = False
        return 0

    cdef int _renew(self, Py_ssize_t more) except -1:
        # A table that is mostly trimmed away is replaced by one of the same size, else by one of twice the size: appending stays O(1).
        cdef Py_ssize_t capacity = self._table.shape[1]
        if self._length * 2 > capacity:
            capacity *= 2
        while self._length + more > capacity:
            capacity *= 2
        table = np.empty((WIDTH, capacity), dtype=np.int64)
        table[:, :self._length] = self._table[:, self._start:self._start + self._length]
        self._table = table
        self._cells = table
        self._start = 0
        self._shared = False
        return 0


def find(const int64_t[::1] time not None, int64_t value):
    """Position of the row that starts exactly at `value`, or -1."""
    cdef Py_ssize_t low = 0
    cdef Py_ssize_t high = time.shape[0]
    cdef Py_ssize_t middle
    while low < high:
        middle = (low + high) >> 1
        if time[middle] < value:
            low = middle + 1
        else:
            high = middle
    if low < time.shape[0] and time[low] == value:
        return low
    return -1


def runs(const int64_t[::1] time not None, const int64_t[::1] duration not None):
    """Run lengths of (time, duration): start, duration and number of repeats (DASH S@r, Smooth c@r minus one) of each run."""
    cdef Py_ssize_t n = time.shape[0]
    if duration.shape[0] != n:
        raise ValueError("time and duration differ in length")
    starts = np.empty(n, dtype=np.int64)
    durations = np.empty(n, dtype=np.int64)
    repeats = np.empty(n, dtype=np.int64)
    cdef int64_t[::1] t = starts
    cdef int64_t[::1] d = durations
    cdef int64_t[::1] r = repeats
    cdef Py_ssize_t i
    cdef Py_ssize_t k = -1
    for i in range(n):
        if k >= 0 and duration[i] == d[k] and time[i] == time[i - 1] + duration[i - 1]:
            r[k] += 1
        else:
            k += 1
            t[k] = time[i]
            d[k] = duration[i]
            r[k] = 0
    return starts[:k + 1], durations[:k + 1], repeats[:k + 1]
