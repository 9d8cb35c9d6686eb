//! The publishes of one connection: which of them a message stream belongs to.

use super::media::MediaReader;

/// One publish.
#[derive(Debug)]
pub(super) struct Publishing {
    /// What its events are marked with: 0, 1, … in the order of the commands.
    pub(super) id: u32,
    /// Its message stream.
    pub(super) stream: u32,
    /// The stream's name as sent.
    pub(super) name: String,
    pub(super) media: MediaReader,
}

/// Those that run.
#[derive(Debug, Default)]
pub(super) struct Publishes {
    running: Vec<Publishing>,
    /// Where the last message went: most often the next one goes there too.
    latest: usize,
}

impl Publishes {
    pub(super) fn add(&mut self, publishing: Publishing) {
        self.running.push(publishing);
    }

    pub(super) fn count(&self) -> usize {
        self.running.len()
    }

    /// Whether one of them runs on this very message stream.
    pub(super) fn runs_on(&self, stream: u32) -> bool {
        self.running.iter().any(|publishing| publishing.stream == stream)
    }

    /// The one that a message stream belongs to. `created`: whether createStream gave this stream; what comes on another one is taken for the
    /// only publish there is, as some encoders number their messages as they like.
    pub(super) fn on(&mut self, stream: u32, created: bool) -> Option<&mut Publishing> {
        if self.running.get(self.latest).is_none_or(|latest| latest.stream != stream) {
            let found = self.running.iter().position(|publishing| publishing.stream == stream);
            self.latest = found.or_else(|| (!created && self.running.len() == 1).then_some(0))?;
        }
        self.running.get_mut(self.latest)
    }

    /// Takes out the one with this mark.
    pub(super) fn remove(&mut self, id: u32) -> Option<Publishing> {
        self.remove_where(|publishing| publishing.id == id)
    }

    /// Takes out the one of this name.
    pub(super) fn remove_named(&mut self, name: &str) -> Option<Publishing> {
        self.remove_where(|publishing| publishing.name == name)
    }

    /// Takes all of them out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Publishing> {
        self.running.drain(..)
    }

    fn remove_where(&mut self, wanted: impl Fn(&Publishing) -> bool) -> Option<Publishing> {
        let index = self.running.iter().position(wanted)?;
        Some(self.running.remove(index))
    }
}
