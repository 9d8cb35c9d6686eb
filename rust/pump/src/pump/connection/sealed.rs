//! What of a connection is TLS, where its peer is to speak that.

use super::super::context::Context;
use super::super::tls::refuse_plain;
use super::Connection;

impl Connection {
    /// Takes what the socket brought.
    pub(super) fn receive(&mut self, bytes: &[u8], cx: &mut Context) {
        let Some(tls) = &mut self.tls else { return self.take(bytes, cx) };
        if self.session.is_none() {
            return;
        }
        let shaking = tls.is_shaking();
        if !tls.heard() {
            if let Err(error) = refuse_plain(bytes) {
                // It is told in the clear, as it spoke.
                self.tls = None;
                return self.fail(&error, cx);
            }
        }
        let mut plain = std::mem::take(&mut cx.plain);
        plain.clear();
        let read = tls.read(bytes, &mut plain, &mut self.output);
        if shaking && !tls.is_shaking() {
            self.since = cx.now;
        }
        // One feed a read, as in the clear: what came before a fault is good.
        if !plain.is_empty() {
            self.take(&plain, cx);
        }
        cx.plain = plain;
        if let Err(error) = read {
            self.fail(&error.at(self.counters.received()), cx);
        }
    }

    /// Puts what the session has for its peer into the output.
    pub(super) fn say(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            None => self.output.extend_from_slice(bytes),
            Some(tls) => tls.write(bytes, &mut self.output),
        }
    }

    pub(super) fn is_shaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_shaking())
    }

    pub(super) fn heard(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.heard())
    }
}
