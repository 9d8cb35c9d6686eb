//! When a certificate ends: the one field of X.509 that no library here tells (RFC 5280 4.1).

/// Seconds since 1970 of `notAfter`; `None` when it is not where it belongs.
pub fn read_end(certificate: &[u8]) -> Option<i64> {
    let (body, _) = read(certificate, SEQUENCE)?;
    let (mut rest, _) = read(body, SEQUENCE)?;
    // The version is left out of certificates of version 1.
    if let Some((_, after)) = read(rest, VERSION) {
        rest = after;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        rest = read(rest, tag)?.1;
    }
    let (validity, _) = read(rest, SEQUENCE)?;
    let (_, after) = read_any(validity)?;
    let (tag, text, _) = split(after)?;
    read_time(tag, std::str::from_utf8(text).ok()?)
}

/// RFC 5280 4.1.2.5: two digits of the year before 2050, four from then on; always seconds, always UTC.
fn read_time(tag: u8, text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    if rest.len() != 10 {
        return None;
    }
    let part = |index: usize| rest[index * 2..index * 2 + 2].parse::<i64>().ok();
    Some(((days(year, part(0)?, part(1)?) * 24 + part(2)?) * 60 + part(3)?) * 60 + part(4)?)
}

/// Days since 1970 of a date of the Gregorian calendar; years begin in March here, so that the day that may be missing is their last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let since_march = (month + 9) % 12;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (since_march * 153 + 2) / 5 + day
        - 1
        - DAYS_TO_1970
}

/// The content of an element of this tag, and what follows it (DER, X.690 8.1).
fn read(data: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    split(data).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

fn read_any(data: &[u8]) -> Option<(&[u8], &[u8])> {
    split(data).map(|(_, content, rest)| (content, rest))
}

fn split(data: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = data.split_first_chunk()?;
    let (length, rest) = match first {
        0..=127 => (usize::from(first), rest),
        129..=132 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first - 128))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const DAYS_TO_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_time_are_read() {
        assert_eq!(read_time(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(read_time(UTC_TIME, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(read_time(UTC_TIME, "240229120000Z"), Some(1_709_208_000));
        assert_eq!(read_time(GENERALIZED_TIME, "20500101000000Z"), Some(2_524_608_000));
        assert_eq!(read_time(GENERALIZED_TIME, "99991231235959Z"), Some(253_402_300_799));
        for (tag, text) in [
            (UTC_TIME, "7001010000Z"),
            (UTC_TIME, "700101000000"),
            (UTC_TIME, "+00101000000Z"),
            (GENERALIZED_TIME, "2050Z"),
            (SEQUENCE, "700101000000Z"),
        ] {
            assert_eq!(read_time(tag, text), None, "{text}");
        }
    }

    #[test]
    fn what_is_torn_has_no_end() {
        for data in [
            &b""[..],
            b"\x30",
            b"\x30\x82",
            b"\x30\x82\xff\xff",
            b"\x30\x80",
            b"\x30\x02\x30\x00",
            b"\x30\x84\xff\xff\xff\xff\0",
        ] {
            assert_eq!(read_end(data), None);
        }
    }
}
