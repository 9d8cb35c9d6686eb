//! The bootstrap information (`abst`, F4V C.2): which fragments there are and when they start.

use crate::wire::Writer;

/// Fragments that follow each other in number and time and are equally long, up to where the next run starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Number of the first one.
    pub first: u32,
    /// Start of the first one in milliseconds.
    pub time: u64,
    /// Length of each in milliseconds.
    pub duration: u32,
    /// A discontinuity comes before it.
    pub discontinuity: bool,
}

/// What a bootstrap says beside its fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// Must rise with every change of the content.
    pub version: u32,
    /// The manifest is that of a live presentation.
    pub live: bool,
    /// No more fragments will come.
    pub ended: bool,
    /// End of the newest fragment in milliseconds.
    pub media_time: u64,
}

impl Bootstrap {
    /// Writes the box. Numbers of fragments have no gaps; runs that go on from the one before become one entry, so that single fragments
    /// can be given as well.
    ///
    /// The one segment is said to hold as many fragments as are listed: the client that is left counts them from the first listed one
    /// and would ask for fragments that are not there if it were the newest one's number.
    pub fn write(&self, runs: &[Run]) -> Vec<u8> {
        let entries = self.entries(runs);
        let listed = self.next_number(runs).saturating_sub(runs.first().map_or(0, |run| run.first));
        let mut out = Vec::with_capacity(128 + 17 * entries.len());
        out.put_box(*b"abst", |out| {
            out.put_u32(0); // version and flags
            out.put_u32(self.version);
            out.put_u8(if self.live { LIVE } else { 0 });
            out.put_u32(MILLISECONDS);
            out.put_u64(self.media_time);
            out.put_u64(0); // SmpteTimeCodeOffset
            out.put(&[0, 0, 0, 0, 0]); // MovieIdentifier, servers, qualities, DrmData, MetaData: none
            out.put_u8(1);
            out.put_box(*b"asrt", |out| {
                out.put_u32(0);
                out.put_u8(0); // qualities
                out.put_u32(1);
                out.put_u32(1); // FirstSegment
                out.put_u32(listed);
            });
            out.put_u8(1);
            out.put_box(*b"afrt", |out| {
                out.put_u32(0);
                out.put_u32(MILLISECONDS);
                out.put_u8(0); // qualities
                out.put_u32(entries.len() as u32);
                for entry in &entries {
                    entry.write(out);
                }
            });
        });
        out
    }

    fn entries(&self, runs: &[Run]) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for run in runs {
            // A duration of zero would be read as an indicator.
            let duration = run.duration.max(1);
            let goes_on = entries.last().is_some_and(|entry| {
                let passed = u64::from(run.first.saturating_sub(entry.first)) * u64::from(duration);
                entry.duration == Ok(duration) && entry.time.saturating_add(passed) == run.time
            });
            if run.discontinuity && !entries.is_empty() {
                entries.push(Entry { first: run.first, time: run.time, duration: Err(TIME_DISCONTINUITY) });
            }
            if run.discontinuity || !goes_on {
                entries.push(Entry { first: run.first, time: run.time, duration: Ok(duration) });
            }
        }
        if self.ended {
            let (first, time) = (self.next_number(runs), self.media_time);
            entries.push(Entry { first, time, duration: Err(END_OF_PRESENTATION) });
        }
        entries
    }

    /// The number that comes after the newest fragment: the last run goes on to the end of the media.
    fn next_number(&self, runs: &[Run]) -> u32 {
        runs.last().map_or(0, |last| {
            let duration = u64::from(last.duration.max(1));
            let count = (self.media_time.saturating_sub(last.time).saturating_add(duration / 2) / duration).max(1);
            last.first.saturating_add(u32::try_from(count).unwrap_or(u32::MAX))
        })
    }
}

/// One row of the fragment run table; without a duration it carries the discontinuity indicator.
struct Entry {
    first: u32,
    time: u64,
    duration: Result<u32, u8>,
}

impl Entry {
    fn write(&self, out: &mut Vec<u8>) {
        out.put_u32(self.first);
        out.put_u64(self.time);
        match self.duration {
            Ok(duration) => out.put_u32(duration),
            Err(indicator) => {
                out.put_u32(0);
                out.put_u8(indicator);
            }
        }
    }
}

const LIVE: u8 = 0x20;
const MILLISECONDS: u32 = 1000;
const END_OF_PRESENTATION: u8 = 0;
const TIME_DISCONTINUITY: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Reader;

    /// First fragment, time, duration, indicator (0xff when there is a duration).
    type Row = (u32, u64, u32, u8);

    /// Reads as the downloader of yt-dlp does: live flag, fragments per segment, rows.
    fn read(bootstrap: &[u8]) -> (bool, u32, Vec<Row>) {
        let mut reader = Reader::new(bootstrap);
        let mut parse = || {
            assert_eq!((reader.u32()? as usize, reader.bytes(4)?), (bootstrap.len(), &b"abst"[..]));
            reader.skip(8)?;
            let live = reader.u8()? & LIVE != 0;
            reader.skip(20 + 5 + 1)?;
            assert_eq!((reader.u32()?, reader.bytes(4)?), (25, &b"asrt"[..]));
            reader.skip(13)?;
            let listed = reader.u32()?;
            assert_eq!(reader.u8()?, 1);
            assert_eq!((reader.u32()? as usize, reader.bytes(4)?), (reader.remaining() + 8 - 4 + 4, &b"afrt"[..]));
            reader.skip(9)?;
            let mut rows = Vec::new();
            for _ in 0..reader.u32()? {
                let (first, time, duration) = (reader.u32()?, reader.u64()?, reader.u32()?);
                rows.push((first, time, duration, if duration == 0 { reader.u8()? } else { 0xff }));
            }
            crate::error::Result::Ok((live, listed, rows))
        };
        let read = parse().expect("a whole box");
        assert_eq!(reader.remaining(), 0);
        read
    }

    fn run(first: u32, time: u64, duration: u32) -> Run {
        Run { first, time, duration, discontinuity: false }
    }

    #[test]
    fn neighbours_become_one_run() {
        let live = Bootstrap { version: 7, live: true, ended: false, media_time: 12_000 };
        let singles: Vec<_> = (0..6).map(|i| run(901 + i, 2000 * u64::from(i), 2000)).collect();
        assert_eq!(read(&live.write(&singles)), (true, 6, vec![(901, 0, 2000, 0xff)]));
        assert_eq!(live.write(&singles), live.write(&[run(901, 0, 2000)]));
        assert_eq!(live.write(&singles), live.write(&[run(901, 0, 2000), run(903, 4000, 2000)]));
        let uneven = [run(1, 0, 2002), run(3, 4004, 2003), run(4, 6007, 2002)];
        let rows = vec![(1, 0, 2002, 0xff), (3, 4004, 2003, 0xff), (4, 6007, 2002, 0xff)];
        let live = Bootstrap { media_time: 10_011, ..live };
        assert_eq!(read(&live.write(&uneven)), (true, 5, rows));
        assert_eq!(read(&live.write(&[])), (true, 0, vec![]));
    }

    #[test]
    fn gaps_and_the_end_are_indicated() {
        let ended = Bootstrap { version: 8, live: false, ended: true, media_time: 12_500 };
        let runs = [run(5, 0, 2000), Run { discontinuity: true, ..run(7, 9000, 2000) }, run(8, 11_000, 1500)];
        let rows = vec![
            (5, 0, 2000, 0xff),
            (7, 9000, 0, 2),
            (7, 9000, 2000, 0xff),
            (8, 11_000, 1500, 0xff),
            (9, 12_500, 0, 0),
        ];
        assert_eq!(read(&ended.write(&runs)), (false, 4, rows));
        assert_eq!(read(&ended.write(&[])), (false, 0, vec![(0, 12_500, 0, 0)]));
        // A discontinuity is kept even where time and number go on, as after an encoder's restart; before the first fragment it says nothing.
        let marked = [run(5, 0, 2000), run(6, 2000, 2000)].map(|run| Run { discontinuity: true, ..run });
        assert_eq!(read(&ended.write(&marked)).2[1], (6, 2000, 0, 2));
        assert_eq!(read(&ended.write(&marked)).2.len(), 4);
    }
}
