//! Data messages other than `onMetaData` as signals: `onTextData`, `onCuePoint`, `onCaptionInfo`, `onAdCue`, `onFI` and others like them.
//!
//! In: a handler's name, a time and AMF values. Out: a track of signals for each name, and signals whose payload is the values as JSON. Never:
//! a look at what they mean.
//!
//! The payload is an array of the values behind the name, each as ECMAScript's `JSON.stringify` has it in an array: numbers that are finite,
//! strings, booleans, arrays, objects (the first of fields of one name; the class of a typed object is dropped), dates as `2026-11-22T15:04:05.678Z`;
//! null, undefined, unsupported, numbers and dates that JSON cannot say are `null`.

use super::amf0::Value;
use crate::error::{Error, Result};
use crate::media::{Signal, SignalTrack};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The handlers of one publish that were called so far.
#[derive(Debug, Default)]
pub(super) struct Handlers {
    names: Vec<String>,
}

impl Handlers {
    /// A signal of a message; with its track when it is the first of that.
    pub(super) fn take(
        &mut self,
        name: &str,
        time: i64,
        values: &[Value],
        timescale: u32,
    ) -> Result<(Option<SignalTrack>, Signal)> {
        let known = self.names.iter().position(|known| known == name);
        if known.is_none() && (!is_handler(name) || self.names.len() >= MAX_HANDLERS) {
            let shown: String = name.chars().take(MAX_NAME).collect();
            let detail = format!("{shown:?} is no handler onXxx, or the publish has {MAX_HANDLERS} already: dropped");
            return Err(Error::new("RTMP_DATA_DROPPED", 0, detail));
        }
        let data = write_json(values)?.into_bytes();
        let index = known.unwrap_or(self.names.len());
        let track = FIRST_TRACK + index as u32;
        let signal = Signal { track, time, duration: 0, timescale, data };
        if known.is_some() {
            return Ok((None, signal));
        }
        self.names.push(name.to_owned());
        let found = SignalTrack {
            number: track,
            timescale,
            format: String::new(),
            name: name.to_owned(),
            language: "und".into(),
            // The same message comes in each layer: it belongs to none of them.
            parent: ANY_PARENT.into(),
            output: true,
            subtype: "DATA".into(),
            scheme: format!("{SCHEME}{name}"),
        };
        Ok((Some(found), signal))
    }
}

/// `on[A-Z]\w*`, of a length that a name has.
fn is_handler(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("on") else { return false };
    name.len() <= MAX_NAME
        && rest.starts_with(|first: char| first.is_ascii_uppercase())
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn write_json(values: &[Value]) -> Result<String> {
    let mut out = String::new();
    array(&mut out, values)?;
    Ok(out)
}

fn array(out: &mut String, values: &[Value]) -> Result<()> {
    out.push('[');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        json(out, value)?;
    }
    out.push(']');
    bounded(out.len())
}

fn json(out: &mut String, value: &Value) -> Result<()> {
    match value {
        Value::Number(number) if number.is_finite() => {
            // ECMAScript has one zero.
            let number = if *number == 0.0 { 0.0 } else { *number };
            let _ = write!(out, "{number}");
        }
        Value::Boolean(boolean) => out.push_str(if *boolean { "true" } else { "false" }),
        Value::String(text) => string(out, text)?,
        Value::Array(items) => array(out, items)?,
        Value::Object(fields) => {
            let mut seen = BTreeSet::new();
            out.push('{');
            for (name, value) in fields.iter().filter(|(name, _)| seen.insert(name.as_str())) {
                if !out.ends_with('{') {
                    out.push(',');
                }
                string(out, name)?;
                out.push(':');
                json(out, value)?;
            }
            out.push('}');
        }
        Value::Date(milliseconds) => match iso(*milliseconds) {
            Some(text) => string(out, &text)?,
            None => out.push_str("null"),
        },
        Value::Number(_) | Value::Null => out.push_str("null"),
    }
    bounded(out.len())
}

fn string(out: &mut String, text: &str) -> Result<()> {
    // Before it is copied, and grows by what is escaped.
    bounded(out.len() + text.len())?;
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04x}", control as u32);
            }
            other => out.push(other),
        }
    }
    out.push('"');
    Ok(())
}

fn bounded(size: usize) -> Result<()> {
    if size > MAX_PAYLOAD {
        let detail = format!("a data message is {size} bytes of JSON or more, at most {MAX_PAYLOAD} are taken");
        return Err(Error::new("SIGNAL_TOO_LARGE", 0, detail));
    }
    Ok(())
}

/// ECMA-262 21.4.1.32; years of four digits alone.
fn iso(milliseconds: f64) -> Option<String> {
    if !milliseconds.is_finite() || milliseconds.abs() > MAX_DATE {
        return None;
    }
    let milliseconds = milliseconds.trunc() as i64;
    let (days, time) = (milliseconds.div_euclid(86_400_000), milliseconds.rem_euclid(86_400_000));
    // Counted from 0000-03-01, so that the leap day is a year's last (the proleptic Gregorian calendar repeats every 400 years).
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second, thousandths) = (time / 3_600_000, time / 60_000 % 60, time / 1000 % 60, time % 1000);
    let date = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{thousandths:03}Z");
    (0..=9999).contains(&year).then_some(date)
}

/// Before the name of a handler: what its payloads are.
const SCHEME: &str = "urn:pypackager:rtmp:";
/// Stands for whichever track is furthest.
const ANY_PARENT: &str = "*";
/// Behind picture and sound.
const FIRST_TRACK: u32 = 3;
const MAX_HANDLERS: usize = 16;
const MAX_NAME: usize = 64;
/// As of a fragment of a sparse track.
const MAX_PAYLOAD: usize = 64 << 10;
/// Of dates in ECMAScript.
const MAX_DATE: f64 = 8.64e15;

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(name: &str, values: &[Value]) -> Result<(Option<SignalTrack>, Signal)> {
        Handlers::default().take(name, 0, values, 1000)
    }

    #[test]
    fn values_are_written_as_ecmascript_writes_them() {
        let text = |text: &str| Value::String(text.into());
        let object = Value::Object(vec![
            ("a".into(), Value::Number(1.0)),
            ("b\"".into(), Value::Array(vec![Value::Boolean(true), Value::Boolean(false)])),
            ("a".into(), Value::Number(2.0)),
            ("{".into(), Value::Object(vec![])),
            (String::new(), Value::Null),
        ]);
        for (value, json) in [
            (Value::Number(-0.0), "0"),
            (Value::Number(25.0), "25"),
            (Value::Number(0.1), "0.1"),
            (Value::Number(-1.5e3), "-1500"),
            (Value::Number(f64::NAN), "null"),
            (Value::Number(f64::INFINITY), "null"),
            (Value::Null, "null"),
            (text("Grüße\n\"\\\u{1}\u{7f}"), "\"Grüße\\n\\\"\\\\\\u0001\u{7f}\""),
            (object, "{\"a\":1,\"b\\\"\":[true,false],\"{\":{},\"\":null}"),
            (Value::Date(0.0), "\"1970-01-01T00:00:00.000Z\""),
            (Value::Date(1_795_359_845_678.0), "\"2026-11-22T15:04:05.678Z\""),
            (Value::Date(951_782_400_000.0), "\"2000-02-29T00:00:00.000Z\""),
            (Value::Date(-1.0), "\"1969-12-31T23:59:59.999Z\""),
            (Value::Date(f64::NAN), "null"),
            (Value::Date(1e15), "null"),
        ] {
            let (_, signal) = taken("onCuePoint", std::slice::from_ref(&value)).expect("small");
            assert_eq!(String::from_utf8(signal.data).expect("JSON"), format!("[{json}]"), "{value:?}");
        }
        assert_eq!(taken("onCuePoint", &[]).expect("small").1.data, b"[]");
    }

    #[test]
    fn each_handler_is_a_track_that_is_told_of_once() {
        let mut handlers = Handlers::default();
        let (track, signal) = handlers.take("onTextData", 5, &[], 1000).expect("a handler");
        let track = track.expect("new");
        assert_eq!((track.number, signal.track, signal.time), (3, 3, 5));
        assert_eq!((&*track.scheme, &*track.parent, track.output), ("urn:pypackager:rtmp:onTextData", "*", true));
        assert!(handlers.take("onTextData", 6, &[], 1000).expect("a handler").0.is_none());
        assert_eq!(handlers.take("onFI", 6, &[], 1000).expect("a handler").1.track, 4);
        for index in 2..MAX_HANDLERS {
            handlers.take(&format!("onX{index}"), 0, &[], 1000).expect("there is room");
        }
        assert_eq!(handlers.take("onMore", 0, &[], 1000).expect_err("too many").code, "RTMP_DATA_DROPPED");
        assert!(handlers.take("onX2", 0, &[], 1000).is_ok());
    }

    #[test]
    fn other_names_and_large_payloads_are_dropped() {
        for name in
            ["", "on", "once", "on1", "|RtmpSampleAccess", "onÄ", "onA-b", "OnA", &format!("onA{}", "a".repeat(62))]
        {
            assert_eq!(taken(name, &[]).expect_err(name).code, "RTMP_DATA_DROPPED");
        }
        for name in ["onA", "onMany_1", &format!("onA{}", "a".repeat(61))] {
            assert!(taken(name, &[]).is_ok(), "{name}");
        }
        let room = MAX_PAYLOAD - 4;
        assert!(taken("onA", &[Value::String("a".repeat(room))]).is_ok());
        for value in [
            Value::String("a".repeat(room + 1)),
            Value::String("\u{1}".repeat(room / 6 + 1)),
            Value::Array(vec![Value::Number(1e-300); 4000]),
            Value::Object(vec![("a".repeat(room), Value::Null)]),
        ] {
            assert_eq!(taken("onA", &[value]).expect_err("large").code, "SIGNAL_TOO_LARGE");
        }
    }
}
