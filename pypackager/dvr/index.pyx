# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The published rows of a track as columns: 25 hours of them in few bytes, read as 64-bit numbers.

In: one row at a time, times rising. Out: read-only columns without a copy, positions by time or segment.
Never: I/O, a decision.

Rows carry absolute numbers that count over the track's life. They stand in blocks of `ROWS`. Of each column a block keeps the value of its
first row, and how far the others are from it, in as many bytes as the farthest of them needs: none where all are equal, up to eight. So
values may be any 64-bit numbers, and the usual ones take little. Differences and sums are modulo 2**64: then every difference fits.

A row is written once, behind everything that a view can see, and a block that gets wider still says the same. What changes a row (`mark`,
`make_gap`) puts a new block in the place of its own; views keep the old one. Of copies that take rows each has a last block of its own.
Bounds are checked once at each entry (`_at`, `_span`), which is why the inner loops go without.
"""

import numpy as np

cimport numpy as cnp
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport INT64_MAX, int8_t, int16_t, int32_t, int64_t, uint64_t
from libc.string cimport memcpy

cnp.import_array()

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
    WIDTH = 10
    ROWS = 64  # at 10 MHz, as Smooth Streaming counts, fragments of up to 3.4 s are within 32 bits of the first of so many
    SHIFT = 6
    LAST = 63

cdef fused Cell:
    int8_t
    int16_t
    int32_t
    int64_t


cdef inline int64_t _plus(int64_t base, int64_t difference) noexcept:
    return <int64_t>(<uint64_t>base + <uint64_t>difference)


cdef inline int64_t _minus(int64_t value, int64_t base) noexcept:
    return <int64_t>(<uint64_t>value - <uint64_t>base)


cdef inline int _bytes(int64_t difference) noexcept:
    """Bytes that a difference needs."""
    if difference == 0:
        return 0
    if difference == <int8_t>difference:
        return 1
    if difference == <int16_t>difference:
        return 2
    return 4 if difference == <int32_t>difference else 8


cdef inline void _store(char* cells, int width, Py_ssize_t row, int64_t difference) noexcept:
    if width == 1:
        (<int8_t*>cells)[row] = <int8_t>difference
    elif width == 2:
        (<int16_t*>cells)[row] = <int16_t>difference
    elif width == 4:
        (<int32_t*>cells)[row] = <int32_t>difference
    elif width == 8:
        (<int64_t*>cells)[row] = difference


cdef inline void _spread(const Cell* cells, Py_ssize_t count, int64_t base, int64_t* out) noexcept:
    cdef Py_ssize_t i
    for i in range(count):
        out[i] = _plus(base, cells[i])


cdef class _Block:
    """Up to `ROWS` rows that follow each other. How many there are is known to who holds it."""

    cdef int64_t base[WIDTH]
    cdef unsigned char width[WIDTH]
    cdef char* cells[WIDTH]  # differences of `ROWS` rows; NULL where the width is 0
    cdef int64_t ticks  # of a full block: how long the rows last that do not have the flag `without`
    cdef int64_t without  # 0: nobody has asked

    def __dealloc__(self):
        cdef int column
        for column in range(WIDTH):
            PyMem_Free(self.cells[column])

    cdef inline int64_t get(self, int column, Py_ssize_t row) noexcept:
        cdef int width = self.width[column]
        cdef char* cells = self.cells[column]
        if width == 0:
            return self.base[column]
        if width == 1:
            return _plus(self.base[column], (<int8_t*>cells)[row])
        if width == 2:
            return _plus(self.base[column], (<int16_t*>cells)[row])
        return _plus(self.base[column], (<int32_t*>cells)[row] if width == 4 else (<int64_t*>cells)[row])

    cdef void read(self, int column, Py_ssize_t row, Py_ssize_t count, int64_t* out) noexcept:
        """Rows [row, row + count)."""
        cdef int width = self.width[column]
        cdef char* cells = self.cells[column]
        cdef Py_ssize_t i
        if width == 1:
            _spread(<int8_t*>cells + row, count, self.base[column], out)
        elif width == 2:
            _spread(<int16_t*>cells + row, count, self.base[column], out)
        elif width == 4:
            _spread(<int32_t*>cells + row, count, self.base[column], out)
        elif width == 8:
            _spread(<int64_t*>cells + row, count, self.base[column], out)
        else:
            for i in range(count):
                out[i] = self.base[column]

    cdef int64_t ticks_of(self, Py_ssize_t row, Py_ssize_t count, int64_t flag) noexcept:
        """How long those of rows [row, row + count) last that do not have `flag`."""
        cdef int64_t[ROWS] durations
        cdef int64_t[ROWS] flags
        cdef int64_t ticks = 0
        cdef Py_ssize_t i
        self.read(DURATION, row, count, durations)
        self.read(FLAGS, row, count, flags)
        for i in range(count):
            ticks += 0 if flags[i] & flag else durations[i]
        return ticks

    cdef inline int put(self, int column, Py_ssize_t row, int64_t value) except -1:
        cdef int64_t difference = _minus(value, self.base[column])
        if _bytes(difference) > self.width[column]:
            self.widen(column, _bytes(difference))
        _store(self.cells[column], self.width[column], row, difference)
        return 0

    cdef int widen(self, int column, int width) except -1:
        cdef char* cells = <char*>PyMem_Calloc(ROWS, width)
        cdef Py_ssize_t row
        if cells == NULL:
            raise MemoryError
        for row in range(ROWS):
            _store(cells, width, row, _minus(self.get(column, row), self.base[column]))
        PyMem_Free(self.cells[column])
        self.cells[column] = cells
        self.width[column] = width
        return 0

    cdef _Block copied(self):
        cdef _Block copy = _Block.__new__(_Block)
        cdef int column
        for column in range(WIDTH):
            copy.base[column] = self.base[column]
            if self.width[column]:
                copy.widen(column, self.width[column])
                memcpy(copy.cells[column], self.cells[column], ROWS * self.width[column])
        return copy

    cdef Py_ssize_t size(self):
        """Bytes of memory."""
        cdef Py_ssize_t size = _Block.__basicsize__
        cdef int column
        for column in range(WIDTH):
            size += ROWS * self.width[column]
        return size


cdef class ColumnView:
    """A read-only column of some rows. What it gives is Python's numbers and arrays of int64, which nothing can change it through."""

    cdef list _blocks
    cdef int _column
    cdef Py_ssize_t _start
    cdef Py_ssize_t _length

    def __len__(self):
        return self._length

    def __getitem__(self, at):
        """The number at a place, or an array of those of a slice."""
        cdef Py_ssize_t place
        if isinstance(at, slice):
            low, high, step = at.indices(self._length)
            if step != 1:
                raise ValueError("a column is sliced without steps")
            return self._array(low, max(low, high))
        place = at
        if place < 0:
            place += self._length
        if not 0 <= place < self._length:
            raise IndexError(f"row {at} of {self._length}")
        return self._get(place)

    def __iter__(self):
        return iter(self.tolist())

    def __array__(self, dtype=None, copy=None):
        return self._array(0, self._length).astype(dtype or np.int64, copy=False)

    def tolist(self):
        """All numbers."""
        return self._array(0, self._length).tolist()

    def part(self, Py_ssize_t low, Py_ssize_t high):
        """The column of rows [low, high), without a copy."""
        if not 0 <= low <= high <= self._length:
            raise IndexError(f"rows [{low}, {high}) of {self._length}")
        return _view(self._blocks, self._column, self._start + low, high - low)

    def searchsorted(self, value, str side="left"):
        """Of a column that never falls: how many rows are less than a number of any size, or with "right" not greater."""
        cdef Py_ssize_t low = 0
        cdef Py_ssize_t high = self._length
        cdef Py_ssize_t middle
        cdef int64_t border
        # Those less than the next number are those that are not greater.
        value = value + 1 if side == "right" else value
        if value > INT64_MAX:
            return self._length
        border = max(value, -INT64_MAX - 1)
        while low < high:
            middle = (low + high) >> 1
            if self._get(middle) < border:
                low = middle + 1
            else:
                high = middle
        return low

    cdef inline int64_t _get(self, Py_ssize_t place) noexcept:
        place += self._start
        return (<_Block>self._blocks[place >> SHIFT]).get(self._column, place & LAST)

    cdef object _array(self, Py_ssize_t low, Py_ssize_t high):
        cdef cnp.npy_intp length = high - low
        # As small ones are most of them, not by a memoryview: that takes longer to make than the array.
        values = cnp.PyArray_EMPTY(1, &length, cnp.NPY_INT64, 0)
        _read(self._blocks, self._column, self._start + low, length, <int64_t*>cnp.PyArray_DATA(values))
        return values


cdef ColumnView _view(list blocks, int column, Py_ssize_t start, Py_ssize_t length):
    cdef ColumnView view = ColumnView.__new__(ColumnView)
    view._blocks = blocks
    view._column = column
    view._start = start
    view._length = length
    return view


cdef void _read(list blocks, int column, Py_ssize_t at, Py_ssize_t length, int64_t* out) noexcept:
    cdef Py_ssize_t end = at + length
    cdef Py_ssize_t count
    while at < end:
        count = min(ROWS - (at & LAST), end - at)
        (<_Block>blocks[at >> SHIFT]).read(column, at & LAST, count, out)
        at += count
        out += count


cdef class Columns:
    """Append-only columns of one track."""

    cdef list _blocks
    cdef list _before  # for each block: bytes of all rows in front of it, so that sums over any range cost two blocks
    cdef Py_ssize_t _start  # place of the oldest row in the first block
    cdef Py_ssize_t _length
    cdef bint _frozen
    cdef readonly int64_t first
    """Absolute number of the oldest row."""

    def __init__(self, int64_t first=0):
        if first < 0:
            raise ValueError("first counts rows")
        self._blocks = []
        self._before = []
        self._start = 0
        self._length = 0
        self._frozen = False
        self.first = first

    def __len__(self):
        return self._length

    @property
    def end(self):
        """Absolute number of the next row."""
        return self.first + self._length

    @property
    def nbytes(self):
        """Memory that the rows take."""
        cdef _Block block
        return sum([block.size() for block in self._blocks]) + self._blocks.__sizeof__() + self._before.__sizeof__() + 32 * len(self._before)

    cpdef append(self, int64_t time, int64_t duration, int64_t size, int64_t segment, int64_t flags, int64_t config,
                 int64_t period, int64_t discontinuity, int64_t blob, int64_t offset):
        """Adds a row behind the last one."""
        cdef int64_t[WIDTH] row = [time, duration, size, segment, flags, config, period, discontinuity, blob, offset]
        self._rises(time)
        self._add(row)

    def extend(self, const int64_t[:, ::1] rows not None):
        """Adds rows behind the last one, all or none: the ten columns, one after the other."""
        cdef int64_t[WIDTH] row
        cdef Py_ssize_t i
        cdef int column
        if rows.shape[0] != WIDTH:
            raise ValueError(f"rows have {WIDTH} columns, not {rows.shape[0]}")
        if rows.shape[1]:
            self._rises(rows[TIME, 0])
        for i in range(1, rows.shape[1]):
            if rows[TIME, i] <= rows[TIME, i - 1]:
                raise ValueError(f"row at {rows[TIME, i]} is not after the one before it")
        for i in range(rows.shape[1]):
            for column in range(WIDTH):
                row[column] = rows[column, i]
            self._add(row)

    cdef int _rises(self, int64_t time) except -1:
        if self._frozen:
            raise ValueError("a frozen copy takes no rows")
        if self._length and time <= self._get(TIME, self._start + self._length - 1):
            raise ValueError(f"row at {time} is not after the last one at {self._get(TIME, self._start + self._length - 1)}")
        return 0

    cdef int _add(self, const int64_t* row) except -1:
        cdef Py_ssize_t at = self._start + self._length
        cdef _Block block
        cdef int column
        if at & LAST:
            block = self._blocks[at >> SHIFT]
            for column in range(WIDTH):
                block.put(column, at & LAST, row[column])
        else:
            block = _Block.__new__(_Block)
            for column in range(WIDTH):
                block.base[column] = row[column]
            self._before.append(self._before[at // ROWS - 1] + self._bytes(at - ROWS, at) if at else 0)
            self._blocks.append(block)
        self._length += 1
        return 0

    def trim(self, int64_t number):
        """Forgets the rows before absolute row `number`."""
        cdef Py_ssize_t drop
        if number <= self.first:
            return
        drop = <Py_ssize_t>(min(number, self.first + self._length) - self.first)
        self._start += drop
        self._length -= drop
        self.first += drop
        del self._blocks[:self._start >> SHIFT], self._before[:self._start >> SHIFT]
        self._start &= LAST

    def frozen(self):
        """A copy that takes no rows and shares the blocks: what it shows is never written again."""
        cdef Columns copy = self._from(self.first)
        copy._frozen = True
        return copy

    def copied(self, int64_t low):
        """A copy of the rows from `low` on that takes rows; it shares the blocks that are full."""
        cdef Columns copy = self._from(low)
        if (copy._start + copy._length) & LAST:
            copy._renew(copy._start + copy._length - 1)
        return copy

    cdef Columns _from(self, int64_t low):
        cdef Py_ssize_t a = self._span(low, self.first + self._length)
        cdef Columns copy = Columns(low)
        copy._blocks = self._blocks[a >> SHIFT:]
        copy._before = self._before[a >> SHIFT:]
        copy._start = a & LAST
        copy._length = self._start + self._length - a
        return copy

    def mark(self, int64_t number, int64_t flags):
        """Adds flags to a row; views that were given away keep what they show."""
        cdef Py_ssize_t at = self._at(number)
        self._renew(at).put(FLAGS, at & LAST, self._get(FLAGS, at) | flags)

    def make_gap(self, int64_t number, int64_t flags):
        """Turns a row into a gap; views that were given away keep what they show."""
        cdef Py_ssize_t at = self._at(number)
        cdef int64_t size = self._get(SIZE, at)
        cdef _Block block = self._renew(at)
        cdef Py_ssize_t i
        block.put(SIZE, at & LAST, 0)
        block.put(FLAGS, at & LAST, flags)
        block.put(BLOB, at & LAST, -1)
        block.put(OFFSET, at & LAST, 0)
        for i in range((at >> SHIFT) + 1, len(self._before)):
            self._before[i] -= size

    cdef _Block _renew(self, Py_ssize_t at):
        """A block of its own in the place of that of a row."""
        cdef _Block block = (<_Block>self._blocks[at >> SHIFT]).copied()
        self._blocks[at >> SHIFT] = block
        return block

    def window(self, int64_t low, int64_t high):
        """The ten columns of rows [low, high), read-only."""
        cdef Py_ssize_t a = self._span(low, high)
        cdef Py_ssize_t b = a + <Py_ssize_t>(high - low)
        cdef list blocks = self._blocks[a >> SHIFT:(b + LAST) >> SHIFT]
        return tuple([_view(blocks, column, a & LAST, b - a) for column in range(WIDTH)])

    def table(self, int64_t low, int64_t high):
        """A copy of rows [low, high): the ten columns, one after the other."""
        cdef Py_ssize_t a = self._span(low, high)
        cdef cnp.npy_intp[2] shape = [WIDTH, high - low]
        cdef int column
        table = cnp.PyArray_EMPTY(2, shape, cnp.NPY_INT64, 0)
        for column in range(WIDTH):
            _read(self._blocks, column, a, shape[1], <int64_t*>cnp.PyArray_DATA(table) + column * shape[1])
        return table

    def time_at(self, int64_t number):
        """Start of a row."""
        return self._get(TIME, self._at(number))

    def end_at(self, int64_t number):
        """End of a row."""
        cdef Py_ssize_t at = self._at(number)
        return self._get(TIME, at) + self._get(DURATION, at)

    def segment_at(self, int64_t number):
        """Segment number of a row."""
        return self._get(SEGMENT, self._at(number))

    def flags_at(self, int64_t number):
        """Flags of a row."""
        return self._get(FLAGS, self._at(number))

    def size_between(self, int64_t low, int64_t high):
        """Bytes of rows [low, high)."""
        cdef Py_ssize_t a = self._span(low, high)
        cdef Py_ssize_t b = a + <Py_ssize_t>(high - low)
        if a == b:
            return 0
        return self._before_row(b - 1) + self._get(SIZE, b - 1) - self._before_row(a)

    def ticks_without(self, int64_t low, int64_t high, int64_t flag):
        """How long those of rows [low, high) last that do not have `flag`."""
        cdef Py_ssize_t at = self._span(low, high)
        cdef Py_ssize_t end = at + <Py_ssize_t>(high - low)
        cdef int64_t ticks = 0
        cdef Py_ssize_t count
        cdef _Block block
        while at < end:
            count = min(ROWS - (at & LAST), end - at)
            block = self._blocks[at >> SHIFT]
            if count < ROWS:
                ticks += block.ticks_of(at & LAST, count, flag)
            else:
                if block.without != flag:
                    # A block whose rows are all there never changes, and every version of a window asks for it again.
                    block.ticks, block.without = block.ticks_of(0, ROWS, flag), flag
                ticks += block.ticks
            at += count
        return ticks

    def first_from(self, int64_t time):
        """Absolute number of the first row that starts at `time` or later; `end` when there is none."""
        return self.first + self._lower(TIME, time)

    def first_ending_after(self, int64_t time):
        """Absolute number of the first row that ends later than `time`; `end` when there is none."""
        cdef Py_ssize_t i = self._lower(TIME, time + 1) if time < INT64_MAX else self._length
        cdef Py_ssize_t at = self._start + i - 1
        if i > 0 and self._get(TIME, at) + self._get(DURATION, at) > time:
            i -= 1
        return self.first + i

    def first_of_segment(self, int64_t segment):
        """Absolute number of the first row of `segment` or a later one; `end` when there is none."""
        return self.first + self._lower(SEGMENT, segment)

    def next_flagged(self, int64_t number, int64_t flag):
        """Absolute number of the first row at `number` or later with `flag`; `end` when there is none."""
        cdef Py_ssize_t i = <Py_ssize_t>(max(number, self.first) - self.first)
        while i < self._length and not self._get(FLAGS, self._start + i) & flag:
            i += 1
        return self.first + min(i, self._length)

    def last_flagged(self, int64_t number, int64_t flag):
        """Absolute number of the last row at `number` or earlier with `flag`; `first - 1` when there is none."""
        cdef Py_ssize_t i = <Py_ssize_t>(min(number, self.first + self._length - 1) - self.first)
        while i >= 0 and not self._get(FLAGS, self._start + i) & flag:
            i -= 1
        return self.first + max(i, -1)

    cdef inline int64_t _get(self, int column, Py_ssize_t at) noexcept:
        return (<_Block>self._blocks[at >> SHIFT]).get(column, at & LAST)

    cdef object _before_row(self, Py_ssize_t at):
        """Bytes of all rows before a place."""
        return self._before[at >> SHIFT] + self._bytes(at & ~<Py_ssize_t>LAST, at)

    cdef int64_t _bytes(self, Py_ssize_t low, Py_ssize_t high) noexcept:
        cdef int64_t size = 0
        cdef Py_ssize_t at
        for at in range(low, high):
            size += self._get(SIZE, at)
        return size

    cdef Py_ssize_t _lower(self, int column, int64_t value):
        cdef Py_ssize_t low = 0
        cdef Py_ssize_t high = self._length
        cdef Py_ssize_t middle
        while low < high:
            middle = (low + high) >> 1
            if self._get(column, self._start + middle) < value:
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
