//! The sequence parameter set of H.264 (ITU-T H.264 7.3.2.1.1 and E.1.1), as far as a packager needs it.

use super::bits::BitReader;
use super::nal;

/// What an SPS says of the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sps {
    /// `chroma_format_idc`; 1 (4:2:0) for profiles that do not carry it.
    pub(super) chroma_format: u8,
    /// `bit_depth_luma_minus8`.
    pub(super) luma_depth: u8,
    /// `bit_depth_chroma_minus8`.
    pub(super) chroma_depth: u8,
    /// Pixels across after cropping.
    pub(super) width: u16,
    /// Pixels down after cropping.
    pub(super) height: u16,
    /// Frames per second as a reduced ratio; (0, 1) when absent.
    pub(super) frame_rate: (u32, u32),
    /// Sample aspect ratio; (1, 1) when absent.
    pub(super) pixel_aspect: (u16, u16),
}

/// Whether the profile carries chroma format and bit depths, in the SPS and at the end of the decoder configuration record.
pub(super) fn has_chroma_fields(profile: u8) -> bool {
    matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135)
}

impl Sps {
    /// Parses a whole SPS NAL unit; `None` when it is not one, is cut short, or describes no picture.
    pub(super) fn parse(unit: &[u8]) -> Option<Self> {
        if nal::unit_type(unit) != nal::SPS {
            return None;
        }
        let payload = nal::unescape(&unit[1..]);
        let mut reader = BitReader::new(&payload);
        let profile = reader.bits(8)? as u8;
        reader.skip(16)?; // constraint flags, level_idc
        reader.ue_up_to(31)?; // seq_parameter_set_id
        let mut chroma = Chroma { format: 1, separate_planes: false, depths: (0, 0) };
        if has_chroma_fields(profile) {
            chroma = read_chroma(&mut reader)?;
        }
        reader.ue_up_to(12)?; // log2_max_frame_num_minus4
        skip_picture_order(&mut reader)?;
        reader.ue()?; // max_num_ref_frames
        reader.flag()?; // gaps_in_frame_num_value_allowed_flag
        let (width, height) = read_size(&mut reader, &chroma)?;
        // A picture without usable VUI still plays: encoders exist that cut it short.
        let vui = if reader.flag()? { read_vui(&mut reader) } else { None };
        let (pixel_aspect, frame_rate) = vui.unwrap_or(((1, 1), (0, 1)));
        let (luma_depth, chroma_depth) = chroma.depths;
        Some(Self { chroma_format: chroma.format, luma_depth, chroma_depth, width, height, frame_rate, pixel_aspect })
    }
}

struct Chroma {
    format: u8,
    separate_planes: bool,
    depths: (u8, u8),
}

fn read_chroma(reader: &mut BitReader<'_>) -> Option<Chroma> {
    let format = reader.ue_up_to(3)? as u8;
    let separate_planes = format == 3 && reader.flag()?;
    let depths = (reader.ue_up_to(6)? as u8, reader.ue_up_to(6)? as u8); // luma, chroma
    reader.flag()?; // qpprime_y_zero_transform_bypass_flag
    if reader.flag()? {
        for list in 0..if format == 3 { 12 } else { 8 } {
            if reader.flag()? {
                skip_scaling_list(reader, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some(Chroma { format, separate_planes, depths })
}

/// 7.3.2.1.1.1: the list ends early when a scale of zero says that the default is used.
fn skip_scaling_list(reader: &mut BitReader<'_>, size: usize) -> Option<()> {
    let mut last = 8;
    for _ in 0..size {
        let next = (last + reader.se()?).rem_euclid(256);
        if next == 0 {
            break;
        }
        last = next;
    }
    Some(())
}

fn skip_picture_order(reader: &mut BitReader<'_>) -> Option<()> {
    match reader.ue_up_to(2)? {
        0 => {
            reader.ue_up_to(12)?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            reader.flag()?; // delta_pic_order_always_zero_flag
            reader.se()?; // offset_for_non_ref_pic
            reader.se()?; // offset_for_top_to_bottom_field
            for _ in 0..reader.ue_up_to(255)? {
                reader.se()?;
            }
        }
        _ => {}
    }
    Some(())
}

/// Width and height with the frame cropping of 7.4.2.1.1 applied.
fn read_size(reader: &mut BitReader<'_>, chroma: &Chroma) -> Option<(u16, u16)> {
    let across = u64::from(reader.ue()?) + 1;
    let down = u64::from(reader.ue()?) + 1;
    let frames_only = reader.flag()?;
    if !frames_only {
        reader.flag()?; // mb_adaptive_frame_field_flag
    }
    reader.flag()?; // direct_8x8_inference_flag
    let field_factor = 2 - u64::from(frames_only);
    let (mut width, mut height) = (across * 16, down * 16 * field_factor);
    if reader.flag()? {
        let chroma_format = if chroma.separate_planes { 0 } else { chroma.format };
        let unit_across = if matches!(chroma_format, 1 | 2) { 2 } else { 1 };
        let unit_down = field_factor * if chroma_format == 1 { 2 } else { 1 };
        let mut edge = || reader.ue().map(u64::from);
        let (left, right, top, bottom) = (edge()?, edge()?, edge()?, edge()?);
        width = width.checked_sub((left + right) * unit_across)?;
        height = height.checked_sub((top + bottom) * unit_down)?;
    }
    let size = (u16::try_from(width).ok()?, u16::try_from(height).ok()?);
    (size.0 > 0 && size.1 > 0).then_some(size)
}

/// Sample aspect ratio and frame rate of the VUI (E.1.1).
fn read_vui(reader: &mut BitReader<'_>) -> Option<((u16, u16), (u32, u32))> {
    let mut aspect = (1, 1);
    if reader.flag()? {
        let indicator = reader.bits(8)? as usize;
        aspect = match indicator {
            EXTENDED_SAR => (reader.bits(16)? as u16, reader.bits(16)? as u16),
            _ => SAMPLE_ASPECT.get(indicator).copied().unwrap_or((1, 1)),
        };
        if aspect.0 == 0 || aspect.1 == 0 {
            aspect = (1, 1);
        }
    }
    // What follows the aspect ratio may be cut short without harm to it.
    Some((aspect, read_timing(reader).unwrap_or((0, 1))))
}

fn read_timing(reader: &mut BitReader<'_>) -> Option<(u32, u32)> {
    if reader.flag()? {
        reader.flag()?; // overscan_appropriate_flag
    }
    if reader.flag()? {
        reader.skip(4)?; // video_format, video_full_range_flag
        if reader.flag()? {
            reader.skip(24)?; // colour description
        }
    }
    if reader.flag()? {
        reader.ue()?; // chroma_sample_loc_type_top_field
        reader.ue()?; // chroma_sample_loc_type_bottom_field
    }
    if !reader.flag()? {
        return None;
    }
    // A tick is a field (E.2.1), so a frame lasts two.
    let units = u64::from(reader.bits(32)?) * 2;
    let scale = u64::from(reader.bits(32)?);
    if units == 0 || scale == 0 {
        return None;
    }
    let divisor = gcd(units, scale);
    Some((u32::try_from(scale / divisor).ok()?, u32::try_from(units / divisor).ok()?))
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

const EXTENDED_SAR: usize = 255;

/// Table E-1; the first entry is "unspecified".
const SAMPLE_ASPECT: [(u16, u16); 17] = [
    (1, 1),
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];
