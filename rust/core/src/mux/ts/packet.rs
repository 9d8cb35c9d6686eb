//! Transport packets (ISO 13818-1 2.4.3): a PES packet or a section is cut into 188 bytes each, with continuity counters.

/// Bytes of a transport packet.
pub(super) const PACKET_SIZE: usize = 188;
/// Bytes of it behind the header.
const BODY_SIZE: usize = PACKET_SIZE - 4;

/// A packet identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pid(pub(super) u16);

impl Pid {
    pub(super) const ASSOCIATION: Self = Self(0);
    pub(super) const VIDEO: Self = Self(0x100);
    pub(super) const AUDIO: Self = Self(0x101);
    pub(super) const MAP: Self = Self(0x1000);
}

/// What the adaptation fields of a PES packet or section say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Adaptation {
    /// The counter does not go on from the packet before.
    pub(super) discontinuity: bool,
    /// Decoding can start here.
    pub(super) random_access: bool,
    /// Program clock reference in 90 kHz ticks of 33 bits.
    pub(super) clock: Option<u64>,
    /// A second reference, in the middle of a PES packet that lasts longer than references may lie apart.
    pub(super) middle_clock: Option<u64>,
}

impl Adaptation {
    /// The field's bytes behind its length byte; empty when it says nothing.
    fn body(self) -> Vec<u8> {
        let mut body = Vec::with_capacity(7);
        if self.discontinuity || self.random_access || self.clock.is_some() {
            let flag = |set: bool, bit: u8| u8::from(set) << bit;
            body.push(flag(self.discontinuity, 7) | flag(self.random_access, 6) | flag(self.clock.is_some(), 4));
        }
        if let Some(clock) = self.clock {
            // 33 bits of base, 6 reserved ones, 9 bits of extension which stay zero.
            body.extend_from_slice(&((clock & 0x1_ffff_ffff) << 15 | 0x7e00).to_be_bytes()[2..]);
        }
        body
    }
}

/// One PID's sequence of packets within a segment; the counter starts at zero.
#[derive(Debug)]
pub(super) struct Channel {
    pid: Pid,
    packets: usize,
}

impl Channel {
    pub(super) fn new(pid: Pid) -> Self {
        Self { pid, packets: 0 }
    }

    /// Writes a section: one packet, filled with 0xff behind the section.
    pub(super) fn write_section(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        // Segments are rendered apart from each other, and few sections cannot be made sixteen: the indicator says that the counter starts over.
        let adaptation = Adaptation { discontinuity: self.packets == 0, ..Adaptation::default() }.body();
        let end = out.len() + PACKET_SIZE;
        self.write_header(true, !adaptation.is_empty(), out);
        if !adaptation.is_empty() {
            out.push(adaptation.len() as u8);
            out.extend_from_slice(&adaptation);
        }
        out.extend_from_slice(payload);
        out.resize(end, 0xff);
    }

    /// Writes a PES packet, stuffed where it ends.
    ///
    /// With `closes` the segment has no more of this PID: the packet is spread so that the segment's packets are a multiple of sixteen and
    /// the next segment's counter, which starts at zero as well, goes on from here.
    pub(super) fn write_pes(&mut self, pes: &[u8], adaptation: Adaptation, closes: bool, out: &mut Vec<u8>) {
        let first = adaptation.body();
        let middle = Adaptation { clock: adaptation.middle_clock, ..Adaptation::default() }.body();
        let size = |field: &[u8]| if field.is_empty() { 0 } else { field.len() + 1 };
        let spread = closes || !middle.is_empty();
        let fewest = (pes.len() + size(&first) + size(&middle)).div_ceil(BODY_SIZE);
        let mut left = fewest.max(if middle.is_empty() { 1 } else { 2 });
        if closes {
            left = (self.packets + left).next_multiple_of(16) - self.packets;
        }
        out.reserve(left * PACKET_SIZE);
        let (half, mut rest) = (left / 2, pes);
        while left > 0 {
            let starts = rest.len() == pes.len();
            let (field, reserved): (&[u8], _) = match left {
                _ if starts => (&first, size(&middle)),
                _ if left == half => (&middle, 0),
                _ => (&[], if left > half { size(&middle) } else { 0 }),
            };
            // An even share, but no less than what the packets behind this one have no room for.
            let even = rest.len().div_ceil(left).max((rest.len() + reserved).saturating_sub((left - 1) * BODY_SIZE));
            let share = if spread { even } else { rest.len() };
            let (now, later) = rest.split_at(share.min(BODY_SIZE - size(field)));
            self.write_packet(starts, field, now, out);
            (rest, left) = (later, left - 1);
        }
    }

    /// Writes a packet that carries a clock reference and nothing else; the counter does not go on (ISO 13818-1 2.4.3.3).
    pub(super) fn write_clock(&self, clock: u64, out: &mut Vec<u8>) {
        let field = Adaptation { clock: Some(clock), ..Adaptation::default() }.body();
        let end = out.len() + PACKET_SIZE;
        let [high, low] = self.pid.0.to_be_bytes();
        let counter = self.packets.wrapping_sub(1) & 15;
        out.extend_from_slice(&[0x47, high, low, 0x20 | counter as u8, (BODY_SIZE - 1) as u8]);
        out.extend_from_slice(&field);
        out.resize(end, 0xff);
    }

    fn write_packet(&mut self, starts: bool, field: &[u8], payload: &[u8], out: &mut Vec<u8>) {
        let end = out.len() + PACKET_SIZE;
        let filling = BODY_SIZE - payload.len();
        self.write_header(starts, filling > 0, out);
        if filling > 0 {
            out.push((filling - 1) as u8);
        }
        if filling > 1 {
            let flags_only: &[u8] = &[0];
            out.extend_from_slice(if field.is_empty() { flags_only } else { field });
            out.resize(end - payload.len(), 0xff);
        }
        out.extend_from_slice(payload);
    }

    fn write_header(&mut self, starts: bool, adapted: bool, out: &mut Vec<u8>) {
        let [high, low] = self.pid.0.to_be_bytes();
        let control = if adapted { 0x30 } else { 0x10 };
        out.extend_from_slice(&[0x47, u8::from(starts) << 6 | high, low, control | (self.packets & 15) as u8]);
        self.packets += 1;
    }
}
