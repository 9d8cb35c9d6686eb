//! Decoder configurations: what is parsed is announced, stored and read back.

use pypackager_core::bmff::init::parse_init;
use pypackager_core::codec::aac::AacConfig;
use pypackager_core::codec::avc::AvcConfig;
use pypackager_core::codec::nal;
use pypackager_core::media::Codec;
use pypackager_core::mux::cmaf;

/// Parses the input as each kind of configuration.
pub fn run(data: &[u8]) {
    if let Ok(config) = AvcConfig::parse(data) {
        check_avc(&config);
    }
    let (sps, pps): (Vec<_>, Vec<_>) = nal::annexb_units(data).partition(|unit| nal::unit_type(unit) == 7);
    if let Ok(config) = AvcConfig::from_parameter_sets(&sps, &pps) {
        check_avc(&config);
    }
    if let Ok(config) = AacConfig::parse(data) {
        assert!(config.core_rate > 0 && config.output_rate > 0 && config.channels > 0, "{config:?}");
        assert!(config.timescale() <= 1_000_000, "browsers count to 2^53");
        assert!(config.frame_ticks() > 0);
        let _ = (config.rfc6381(), config.adts_header(700));
        check_init(&Codec::Aac(config.clone()), config.timescale());
    }
}

fn check_avc(config: &AvcConfig) {
    assert!(config.width > 0 && config.height > 0 && config.frame_rate.1 > 0);
    let _ = (config.rfc6381(), config.codec_private_data());
    let stored = AvcConfig { source_length_size: 4, ..config.clone() };
    assert_eq!(AvcConfig::parse(&config.record).as_ref(), Ok(&stored), "the normalised record says the same");
    check_init(&Codec::Avc(stored), 90_000);
}

fn check_init(codec: &Codec, timescale: u32) {
    let init = cmaf::write_init(codec, timescale, "de-CH", 64_000, 3);
    let read = parse_init(&init).expect("what was written is read").track;
    assert_eq!((&read.codec, read.timescale, read.number), (codec, timescale, 3));
}
