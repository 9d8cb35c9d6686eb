//! The fragment edges of the reference video track, and where audio is cut.

use std::collections::VecDeque;

use super::CutOptions;
use super::source::Source;
use crate::media::Kind;

/// The edges that all audio of the source clock is cut at.
#[derive(Debug, Default)]
pub(super) struct Edges {
    reference: Option<u64>,
    /// Start times of the reference's fragments, rising.
    times: VecDeque<i64>,
    /// How many were dropped at the front.
    dropped: usize,
    /// The latest time of a reference, also of one that is gone.
    seen: Option<i64>,
    /// Where the reference's last frame ends.
    end: Option<i64>,
    longest: i64,
}

impl Edges {
    /// How many edges there were in all.
    pub(super) fn len(&self) -> usize {
        self.dropped + self.times.len()
    }

    /// Takes note of a video track's last frame, which is an edge when it starts a fragment.
    pub(super) fn advance(&mut self, source: &Source, edge: bool) {
        if let (Some(time), true) = (source.last_ms, self.reference == Some(source.key)) {
            self.seen = Some(self.seen.map_or(time, |seen| seen.max(time)));
            self.end = Some(time + source.usual_ms());
            if edge {
                self.add(time);
            }
        }
    }

    /// Sees to it that the reference is a track that is there: the first video track. Where the last one leaves, its end is an edge: the
    /// sound to its pictures must not wait for what comes after them.
    pub(super) fn update(&mut self, sources: &[Source]) {
        let is_video = |source: &&Source| source.kind() == Kind::Video;
        if !sources.iter().filter(is_video).any(|source| Some(source.key) == self.reference) {
            self.reference = None;
            let next = sources.iter().filter(is_video).find(|source| source.parked.is_none());
            match (next, self.end.take()) {
                (Some(next), _) => self.switch(next),
                (None, Some(end)) => self.add(end),
                (None, None) => {}
            }
        }
    }

    /// The next edge after the first waiting frame of an audio track, as far as it is known.
    pub(super) fn next_edge(&self, source: &Source) -> Option<i64> {
        let front = source.front_ms()?;
        let mut index = self.times.partition_point(|&time| time <= front);
        if index == 0 && self.dropped == 0 && source.is_new {
            // A short lead before the first edge of all joins the first fragment.
            index = self.times.partition_point(|&time| time <= front + MAX_LEAD_MS).min(1);
        }
        self.times.get(index).copied()
    }

    /// Whether an audio track that starts at `front` lacks the beginning of its fragment, by more than a frame. At the first edge of all,
    /// encoders may start the sound a little later: with B-frames, video decode times start before anything is shown.
    fn is_late(&self, front: i64, frame_ms: i64) -> bool {
        let index = self.times.partition_point(|&time| time <= front);
        let margin = if index == 1 && self.dropped == 0 { MAX_LEAD_MS } else { frame_ms + 1 };
        index > 0 && front - self.times[index - 1] > margin
    }

    /// Where the audio track at `index` is cut next, once all frames before that place have come, and whether that fragment lacks its
    /// beginning.
    pub(super) fn border(&mut self, sources: &[Source], index: usize, options: &CutOptions) -> Option<(i64, bool)> {
        let source = &sources[index];
        let (front, last) = (source.front_ms()?, source.last_ms?);
        let mut edge = self.next_edge(source);
        let dead = self.is_silent(front, last, options);
        if edge.is_none() && (dead || self.is_behind(front, last, self.patience(options))) {
            let hold = self.hold(options);
            let awake = |other: &&Source| {
                other.kind() == Kind::Video
                    && Some(other.key) != self.reference
                    && other.parked.is_none()
                    && other.last_ms.is_some_and(|time| time >= last - hold)
                    && (dead || other.edges.iter().any(|&time| time > front))
            };
            if let Some(other) = sources.iter().find(awake) {
                self.switch(other);
                edge = self.next_edge(source);
            }
        }
        let late = edge.is_some() && source.is_new && self.is_late(front, source.frame_ms());
        if edge.is_none() && self.is_silent(front, last, options) {
            let grid = options.audio_grid_ms.max(1);
            edge = Some((front.div_euclid(grid) + 1) * grid);
        }
        edge.filter(|&edge| last >= edge).map(|edge| (edge, late))
    }

    /// Whether audio that waits from `front` to `last` gets no edge in time: there is no video, or it is silent.
    fn is_silent(&self, front: i64, last: i64, options: &CutOptions) -> bool {
        let hold = self.hold(options);
        self.reference.is_none() || self.is_behind(front, last, hold) || last - front > options.max_fragment_ms + hold
    }

    /// Whether the reference is more than `patience` behind audio that waits from `front` to `last`.
    fn is_behind(&self, front: i64, last: i64, patience: i64) -> bool {
        last - self.seen.unwrap_or(front) > patience
    }

    /// How long the audio waits where another layer has the edge: shorter than a fragment, which is the deadline of what is published.
    fn patience(&self, options: &CutOptions) -> i64 {
        options.switch_ms.max(self.longest / 2)
    }

    fn hold(&self, options: &CutOptions) -> i64 {
        options.hold_ms.max(2 * self.longest)
    }

    fn switch(&mut self, source: &Source) {
        self.reference = Some(source.key);
        if let Some(time) = source.last_ms {
            self.seen = Some(self.seen.map_or(time, |seen| seen.max(time)));
            self.end = Some(time + source.usual_ms());
        }
        // Edges of the two may lie a frame or two apart: what would start there has started already.
        let after = self.times.back().map_or(i64::MIN, |&last| last + MAX_LEAD_MS);
        for &edge in source.edges.iter().filter(|&&edge| edge > after) {
            self.add(edge);
        }
    }

    fn add(&mut self, edge: i64) {
        if let Some(&last) = self.times.back() {
            if edge <= last {
                return;
            }
            self.longest = self.longest.max(edge - last);
        }
        if self.times.len() == MAX_EDGES {
            self.times.pop_front();
            self.dropped += 1;
        }
        self.times.push_back(edge);
    }
}

/// Edges that are remembered: far more than audio can wait for.
pub(super) const MAX_EDGES: usize = 1024;
const MAX_LEAD_MS: i64 = 500;
