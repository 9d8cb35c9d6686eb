//! Tracks as sources announce them and as stored headers describe them.

use crate::error::core_error;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pypackager_core::bmff::init::parse_init;
use pypackager_core::media::{Codec, Kind, Track};
use pypackager_core::mux::cmaf::write_init;

/// A track as a source announces it.
#[pyclass(frozen, module = "pypackager._core")]
pub struct TrackHeader(pub Track);

#[pymethods]
impl TrackHeader {
    #[getter]
    fn number(&self) -> u32 {
        self.0.number
    }

    #[getter]
    fn kind(&self) -> &'static str {
        match self.0.codec.kind() {
            Kind::Video => "video",
            Kind::Audio => "audio",
        }
    }

    #[getter]
    fn timescale(&self) -> u32 {
        self.0.timescale
    }

    #[getter]
    fn stored_timescale(&self) -> u32 {
        self.0.stored_timescale()
    }

    #[getter]
    fn codec(&self) -> String {
        match &self.0.codec {
            Codec::Avc(config) => config.rfc6381(),
            Codec::Aac(config) => config.rfc6381(),
        }
    }

    #[getter]
    fn codec_private<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        match &self.0.codec {
            Codec::Avc(config) => PyBytes::new(py, &config.record),
            Codec::Aac(config) => PyBytes::new(py, &config.record),
        }
    }

    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    #[getter]
    fn language(&self) -> &str {
        &self.0.language
    }

    #[getter]
    fn bitrate(&self) -> u32 {
        self.0.bitrate
    }

    #[getter]
    fn frame_rate(&self) -> (u32, u32) {
        self.0.frame_rate
    }

    #[getter]
    fn width(&self) -> u16 {
        match &self.0.codec {
            Codec::Avc(config) => config.width,
            Codec::Aac(_) => 0,
        }
    }

    #[getter]
    fn height(&self) -> u16 {
        match &self.0.codec {
            Codec::Avc(config) => config.height,
            Codec::Aac(_) => 0,
        }
    }

    #[getter]
    fn pixel_aspect(&self) -> (u16, u16) {
        match &self.0.codec {
            Codec::Avc(config) => config.pixel_aspect,
            Codec::Aac(_) => (1, 1),
        }
    }

    #[getter]
    fn sample_rate(&self) -> u32 {
        match &self.0.codec {
            Codec::Avc(_) => 0,
            Codec::Aac(config) => config.output_rate,
        }
    }

    #[getter]
    fn channels(&self) -> u8 {
        match &self.0.codec {
            Codec::Avc(_) => 0,
            Codec::Aac(config) => config.channels,
        }
    }

    #[getter]
    fn frame_ticks(&self) -> u32 {
        match &self.0.codec {
            Codec::Avc(_) => 0,
            Codec::Aac(config) => config.frame_ticks(),
        }
    }

    fn init<'py>(&self, py: Python<'py>, track_id: u32, timescale: u32, language: &str) -> Bound<'py, PyBytes> {
        let header = write_init(&self.0.codec, timescale, language, self.0.bitrate, track_id);
        PyBytes::new(py, &header)
    }

    fn __repr__(&self) -> String {
        let Track { number, timescale, name, language, bitrate, .. } = &self.0;
        format!(
            "TrackHeader(number={number}, codec={:?}, timescale={timescale}, stored_timescale={}, name={name:?}, \
             language={language:?}, bitrate={bitrate})",
            self.codec(),
            self.stored_timescale()
        )
    }
}

/// The track that a stored CMAF header describes.
#[pyfunction]
pub fn read_init(init: &[u8]) -> PyResult<TrackHeader> {
    let parsed = parse_init(init).map_err(|error| core_error(&error))?;
    Ok(TrackHeader(parsed.track))
}
