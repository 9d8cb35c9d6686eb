//! Message type ids (RTMP 1.0 5.4, 6.2, 7.1) and the payloads of data messages.

use super::Metadata;
use super::amf0::Value;

pub(super) const SET_CHUNK_SIZE: u8 = 1;
pub(super) const ABORT: u8 = 2;
pub(super) const ACKNOWLEDGEMENT: u8 = 3;
pub(super) const USER_CONTROL: u8 = 4;
pub(super) const WINDOW_SIZE: u8 = 5;
pub(super) const PEER_BANDWIDTH: u8 = 6;
pub(super) const AUDIO: u8 = 8;
pub(super) const VIDEO: u8 = 9;
pub(super) const DATA_AMF3: u8 = 15;
pub(super) const COMMAND_AMF3: u8 = 17;
pub(super) const DATA: u8 = 18;
pub(super) const COMMAND: u8 = 20;
pub(super) const AGGREGATE: u8 = 22;

pub(super) const STREAM_BEGIN: u16 = 0;
pub(super) const PING_REQUEST: u16 = 6;
pub(super) const PING_RESPONSE: u16 = 7;

/// Reads the object of `onMetaData`; fields of a wrong type count as absent.
pub(super) fn metadata(object: &Value) -> Metadata {
    let number = |name: &str| object.get(name).and_then(Value::as_number).filter(|n| n.is_finite() && *n > 0.0);
    let whole = |name: &str| number(name).map_or(0, |n| n.round() as u32);
    let kilobits = |name: &str| number(name).map_or(0, |n| (n * 1000.0).round() as u32);
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Metadata {
        width: whole("width"),
        height: whole("height"),
        frame_rate: number("framerate").or_else(|| number("videoframerate")).map_or((0, 1), frame_rate),
        video_bitrate: kilobits("videodatarate"),
        audio_bitrate: kilobits("audiodatarate"),
        encoder: text("encoder"),
        language: text("language"),
    }
}

/// The ratio that a decimal frame rate stands for: whole, a multiple of 1000/1001, else in thousandths.
fn frame_rate(decimal: f64) -> (u32, u32) {
    if decimal > 1000.0 {
        return (0, 1);
    }
    let whole = decimal.round();
    let ntsc = (decimal * 1.001).round();
    if (decimal - whole).abs() < 0.001 && whole > 0.0 {
        (whole as u32, 1)
    } else if (decimal - ntsc / 1.001).abs() < 0.005 && ntsc > 0.0 {
        (ntsc as u32 * 1000, 1001)
    } else {
        ((decimal * 1000.0).round() as u32, 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_frame_rates_become_ratios() {
        for (decimal, ratio) in [
            (25.0, (25, 1)),
            (29.97, (30_000, 1001)),
            (29.970_03, (30_000, 1001)),
            (23.976, (24_000, 1001)),
            (59.94, (60_000, 1001)),
            (12.5, (12_500, 1000)),
            (0.5, (500, 1000)),
            (1e9, (0, 1)),
        ] {
            assert_eq!(frame_rate(decimal), ratio, "{decimal}");
        }
    }

    #[test]
    fn fields_of_wrong_types_count_as_absent() {
        let object = Value::Object(vec![
            ("width".into(), Value::Number(f64::NAN)),
            ("height".into(), Value::String("90".into())),
            ("videodatarate".into(), Value::Number(1e300)),
            ("framerate".into(), Value::Number(-1.0)),
            ("encoder".into(), Value::String("obs".into())),
        ]);
        let metadata = metadata(&object);
        assert_eq!((metadata.width, metadata.height, metadata.frame_rate), (0, 0, (0, 1)));
        assert_eq!((metadata.video_bitrate, metadata.encoder.as_str()), (u32::MAX, "obs"));
    }
}
