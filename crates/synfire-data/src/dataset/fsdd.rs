//! The Free Spoken Digit Dataset (Z. Jackson et al., <https://github.com/Jakobovski/free-spoken-digit-dataset>, CC BY-SA 4.0)
//! as log-mel band energies.
//!
//! A recording of `N` samples `x` in [-1, 1) at 8 kHz becomes a sequence `[T, 23]` with `T = 1 + floor((N - 200) / 80)`: a step
//! for every whole window of 200 samples (25 ms), 80 samples (10 ms) apart. For step `t`, bin `k` and band `b`:
//!
//! ```text
//! h[n]     = 0.54 - 0.46 cos(2 pi n / 199)                            Hamming window, n = 0 .. 199
//! X[t, k]  = sum over n of h[n] x[80 t + n] exp(-2 pi i k n / 256)    zero-padded to 256 points, k = 0 .. 128
//! P[t, k]  = 4 |X[t, k]|^2 / (256 sum over n of h[n]^2)               a sine of amplitude 1 sums to 1 over k
//! mel(f)   = 2595 log10(1 + f / 700)                                  f in Hz; bin k is at f = 31.25 k
//! p(f)     = 24 (mel(f) - mel(64)) / (mel(4000) - mel(64))            band b has its centre at p = b + 1, b = 0 .. 22
//! E[t, b]  = sum over k of max(0, 1 - |p(f_k) - (b + 1)|) P[t, k]     triangles that overlap by half
//! y[t, b]  = min(1, max(0, 1 + 10 log10(E[t, b]) / 80))               0 at -80 dB and below, 1 at full scale
//! ```
//!
//! Sampling rate, windows, number of bands and their range are those of the speech recognition front end ETSI ES 201 108 for
//! 8 kHz, without its offset compensation, pre-emphasis and cepstrum; the mel scale is that of D. O'Shaughnessy, *Speech
//! Communication*, 1987. The bounds of 80 dB are fixed: nothing is fitted to recordings, and a step of padding, 0 in every band,
//! is a step of silence. Values are computed in double precision without SIMD, and rounded to multiples of 2^-16, so that
//! machines agree on them.

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hound::{SampleFormat, WavReader};
use rayon::prelude::*;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlannerScalar};

use super::NamedDataset;
use crate::class_folders;
use crate::file::{check_total, read_at_most};
use crate::{
    Data, DataError, DataSource, Loader, Sequence, SequenceDataset, SequenceLabel, Source,
};

/// Samples per second.
const RATE: u32 = 8000;
/// Samples of a window.
const WINDOW: usize = 200;
/// Samples from one window to the next.
const HOP: usize = 80;
/// Points of the Fourier transform.
const POINTS: usize = 256;
/// Frequency bands, which are the channels.
const BANDS: usize = 23;
/// The lower edge of the lowest band, in Hz.
const LOWEST: f64 = 64.0;
/// The energy in dB that maps to 0. The energy of a full-scale sine, 0 dB, maps to 1.
const QUIETEST: f64 = -80.0;
/// Values are multiples of one over this.
const RESOLUTION: f64 = 65536.0;

const CLASSES: usize = 10;
/// The number of recordings of each digit and speaker in the official test part: the first ones.
const TESTED: u32 = 5;
/// The longest file, in bytes: a minute.
const MOST_FILE_BYTES: u64 = 1 << 20;

pub(super) struct Definition;

impl NamedDataset for Definition {
    fn name(&self) -> &'static str {
        "fsdd"
    }

    fn about(&self) -> &'static str {
        "Spoken digits of six speakers as log-mel energies: 2,700 + 300 sequences, 23 channels, 10 classes"
    }

    fn hint(&self) -> &'static str {
        "a clone of https://github.com/Jakobovski/free-spoken-digit-dataset, or its folder recordings with \
         {digit}_{speaker}_{index}.wav, of which indices 0 to 4 are to test on"
    }

    fn shape(&self) -> ([usize; 3], usize) {
        ([BANDS, 1, 1], CLASSES)
    }

    fn load(&self, _loader: &Loader, choice: &DataSource) -> Result<Data, DataError> {
        let folder = self.folder(choice)?;
        let [train, test] = find(folder, self.hint())?;
        let bands = MelBands::new();
        let parts = [read(&train, &bands)?, read(&test, &bands)?];
        let source = Source::Folder(folder.to_path_buf());
        Ok(Data::new(parts, super::numbered(CLASSES), source))
    }
}

/// A file, and what its name says. Recordings are in the order of these fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Recording {
    digit: u8,
    speaker: String,
    index: u32,
    path: PathBuf,
}

impl Recording {
    fn new(path: PathBuf) -> Result<Self, DataError> {
        Self::parse(&path).ok_or_else(|| {
            let value = class_folders::name(&path);
            let expected = "{digit}_{speaker}_{index}.wav";
            DataError::format(&path, "file name", value, expected)
        })
    }

    fn parse(path: &Path) -> Option<Self> {
        let stem = path.file_stem()?.to_string_lossy();
        let (digit, rest) = stem.split_once('_')?;
        let (speaker, index) = rest.rsplit_once('_')?;
        let numeral = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if digit.len() != 1 || speaker.is_empty() || !numeral(digit) || !numeral(index) {
            return None;
        }
        Some(Self {
            digit: digit.parse().ok()?,
            speaker: speaker.to_owned(),
            index: index.parse().ok()?,
            path: path.to_path_buf(),
        })
    }
}

/// The training and the test recordings, at least one of each digit.
fn find(folder: &Path, hint: &'static str) -> Result<[Vec<Recording>; 2], DataError> {
    let inner = folder.join("recordings");
    let folder = if inner.is_dir() { &inner } else { folder };
    let files = class_folders::files(folder, &["wav"])?.into_iter();
    let mut recordings = files.map(Recording::new).collect::<Result<Vec<_>, _>>()?;
    recordings.sort();
    let (test, train): (Vec<_>, Vec<_>) = recordings.into_iter().partition(|r| r.index < TESTED);
    for (part, purpose) in [(&train, "train"), (&test, "test")] {
        for digit in 0..CLASSES as u8 {
            if !part.iter().any(|recording| recording.digit == digit) {
                let what = format!("recording of the digit {digit} to {purpose} on");
                return Err(DataError::not_in_folder(folder, what, hint));
            }
        }
    }
    let paths = train.iter().chain(&test).map(|recording| &recording.path);
    check_total(folder, "bytes of WAV files", paths)?;
    Ok([train, test])
}

fn read(recordings: &[Recording], bands: &MelBands) -> Result<SequenceDataset, DataError> {
    let sequences = recordings.par_iter().map(|recording| {
        Ok(Sequence {
            values: bands.energies(&read_wav(&recording.path)?),
            label: SequenceLabel::Whole(recording.digit),
        })
    });
    let sequences = sequences.collect::<Result<Vec<_>, DataError>>()?;
    SequenceDataset::new(BANDS, sequences)
}

/// The samples of a WAV file, which must be 8 kHz, mono, 16-bit PCM and hold a window at least.
fn read_wav(path: &Path) -> Result<Vec<i16>, DataError> {
    let damaged = |error: hound::Error| DataError::Damaged {
        path: path.to_path_buf(),
        reason: format!("no intact WAV file: {error}"),
    };
    let bytes = read_at_most(path, MOST_FILE_BYTES)?;
    let mut reader = WavReader::new(&bytes[..]).map_err(damaged)?;
    let spec = reader.spec();
    let wrong =
        |field, value: String, expected: &str| Err(DataError::format(path, field, value, expected));
    if spec.sample_rate != RATE {
        let value = format!("{} Hz", spec.sample_rate);
        return wrong("sampling rate", value, "8000 Hz");
    }
    if spec.channels != 1 {
        return wrong("number of channels", spec.channels.to_string(), "1 (mono)");
    }
    if spec.bits_per_sample != 16 || spec.sample_format != SampleFormat::Int {
        let value = format!("{}-bit {:?}", spec.bits_per_sample, spec.sample_format);
        return wrong("sample format", value, "16-bit Int");
    }
    // Reads samples one by one: memory is not reserved by the length in the header.
    let samples: Result<Vec<i16>, _> = reader.samples().collect();
    let samples = samples.map_err(damaged)?;
    if samples.len() < WINDOW {
        let expected = format!("at least {WINDOW}, a window");
        return wrong("number of samples", samples.len().to_string(), &expected);
    }
    Ok(samples)
}

/// The mel scale, from Hz.
fn mel(frequency: f64) -> f64 {
    2595.0 * (1.0 + frequency / 700.0).log10()
}

/// Computes log-mel band energies.
struct MelBands {
    fft: Arc<dyn Fft<f64>>,
    window: Vec<f64>,
    /// `[POINTS / 2 + 1, BANDS]`: the share of each bin in each band, with the scale of the energies.
    weights: Vec<[f64; BANDS]>,
}

impl MelBands {
    fn new() -> Self {
        let angle = |n| TAU * n as f64 / (WINDOW - 1) as f64;
        let window: Vec<f64> = (0..WINDOW).map(|n| 0.54 - 0.46 * angle(n).cos()).collect();
        let scale = 4.0 / (POINTS as f64 * window.iter().map(|h| h * h).sum::<f64>());
        let (low, high) = (mel(LOWEST), mel(f64::from(RATE) / 2.0));
        let weights = (0..=POINTS / 2).map(|bin| {
            let frequency = f64::from(RATE) * bin as f64 / POINTS as f64;
            let place = (BANDS + 1) as f64 * (mel(frequency) - low) / (high - low);
            std::array::from_fn(|band| scale * (1.0 - (place - (band + 1) as f64).abs()).max(0.0))
        });
        Self {
            fft: FftPlannerScalar::new().plan_fft_forward(POINTS),
            weights: weights.collect(),
            window,
        }
    }

    /// Values `[T, BANDS]` in [0, 1] of samples of a window at least.
    fn energies(&self, samples: &[i16]) -> Vec<f32> {
        let mut spectrum = vec![Complex::default(); POINTS];
        let mut scratch = vec![Complex::default(); self.fft.get_inplace_scratch_len()];
        let mut values = Vec::with_capacity(samples.len() / HOP * BANDS);
        for window in samples.windows(WINDOW).step_by(HOP) {
            spectrum.fill(Complex::default());
            for ((x, sample), h) in spectrum.iter_mut().zip(window).zip(&self.window) {
                x.re = h * f64::from(*sample) / 32768.0;
            }
            self.fft.process_with_scratch(&mut spectrum, &mut scratch);
            let mut energies = [0.0; BANDS];
            for (x, weights) in spectrum.iter().zip(&self.weights) {
                let power = x.norm_sqr();
                (energies.iter_mut().zip(weights)).for_each(|(energy, w)| *energy += w * power);
            }
            values.extend(energies.map(|energy| {
                // Minus infinity for silence, which becomes 0.
                let value = (1.0 - 10.0 * energy.log10() / QUIETEST).clamp(0.0, 1.0);
                ((value * RESOLUTION).round() / RESOLUTION) as f32
            }));
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Cursor;

    use burn::data::dataset::Dataset;
    use hound::{WavSpec, WavWriter};

    use super::*;
    use crate::{DatasetName, Samples};

    const SPEC: WavSpec = WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };

    /// A WAV file of these samples.
    fn wav(spec: WavSpec, samples: &[i16]) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = WavWriter::new(&mut bytes, spec).unwrap();
        for sample in samples {
            match spec.sample_format {
                SampleFormat::Int => writer.write_sample(i32::from(*sample)).unwrap(),
                SampleFormat::Float => writer.write_sample(f32::from(*sample)).unwrap(),
            }
        }
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    /// A sine of this frequency in Hz and amplitude, of full scale 1.
    fn tone(frequency: f64, amplitude: f64, samples: usize) -> Vec<i16> {
        let sample = |n| (TAU * frequency * n as f64 / f64::from(RATE)).sin();
        (0..samples)
            .map(|n| (32767.0 * amplitude * sample(n)).round() as i16)
            .collect()
    }

    /// A folder with a tone for each digit, to train and to test on, and two of a 3.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("recordings")).unwrap();
        for digit in 0..10 {
            let samples = tone(300.0 + 200.0 * f64::from(digit), 0.5, 1000);
            put(&folder, &format!("{digit}_ada_4.wav"), &wav(SPEC, &samples));
            put(&folder, &format!("{digit}_ada_5.wav"), &wav(SPEC, &samples));
        }
        put(&folder, "3_ada_12.wav", &wav(SPEC, &[0; 280]));
        put(&folder, "3_ada_lovelace_10.WAV", &wav(SPEC, &[0; 200]));
        put(&folder, "notes.txt", b"");
        folder
    }

    fn put(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) {
        fs::write(folder.path().join("recordings").join(name), bytes).unwrap();
    }

    fn load(folder: &Path) -> Result<[SequenceDataset; 2], String> {
        let data = DatasetName::Fsdd.load(&DataSource::Folder(folder.into()));
        let data = data.map_err(|error| error.to_string())?;
        assert_eq!((data.shape, data.classes), ([23, 1, 1], 10));
        Ok([data.train, data.test].map(|samples| match samples {
            Samples::Sequences(sequences) => sequences,
            _ => panic!("no sequences"),
        }))
    }

    /// The band with the most energy, in every step.
    fn loudest(values: &[f32]) -> Vec<usize> {
        let band = |step: &[f32]| (0..BANDS).max_by(|a, b| step[*a].total_cmp(&step[*b]));
        values
            .chunks(BANDS)
            .map(|step| band(step).unwrap())
            .collect()
    }

    #[test]
    fn names_say_digit_speaker_and_part() {
        let folder = folder();
        let [train, test] = load(folder.path()).unwrap();
        assert_eq!(train.labels(), [0, 1, 2, 3, 3, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(test.labels(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let steps: Vec<_> = (2..6).map(|i| train.time_steps(i).unwrap()).collect();
        // Sorted by number, then by speaker.
        assert_eq!(steps, [11, 11, 2, 1]);
        let item = test.get(7).unwrap();
        assert_eq!(item.sequence.label, SequenceLabel::Whole(7));
        // The folder of the recordings does as well.
        let [inner, _] = load(&folder.path().join("recordings")).unwrap();
        assert_eq!(inner.fingerprint(), train.fingerprint());
    }

    #[test]
    fn a_tone_is_in_its_band() {
        let bands = MelBands::new();
        let (low, high) = (mel(LOWEST), mel(4000.0));
        for band in 0..BANDS {
            let centre = low + (band + 1) as f64 * (high - low) / (BANDS + 1) as f64;
            let frequency = 700.0 * (10f64.powf(centre / 2595.0) - 1.0);
            let values = bands.energies(&tone(frequency, 1.0, 1000));
            assert_eq!(values.len(), 11 * BANDS);
            assert_eq!(loudest(&values), [band; 11], "{frequency} Hz");
            // The band has nearly all of the energy: within 2 dB of full scale.
            for step in values.chunks(BANDS) {
                let value = step[band];
                assert!((1.0 - 2.0 / 80.0..=1.0).contains(&value), "{value}");
                // Distant bands have almost none.
                let far = (0..BANDS).filter(|other| other.abs_diff(band) > 4);
                assert!(far.map(|other| step[other]).all(|value| value < 0.6));
            }
        }
        // A bin at 1 kHz, by hand: mel(1000) = 1000.
        assert!((mel(1000.0) - 1000.0).abs() < 0.02, "{}", mel(1000.0));
        let values = bands.energies(&tone(1000.0, 1.0, WINDOW));
        let energies = values
            .iter()
            .map(|y| 10f64.powf(8.0 * (f64::from(*y) - 1.0)));
        let sum: f64 = energies.sum();
        assert!((sum - 1.0).abs() < 1e-3, "{sum}");
    }

    #[test]
    fn a_tenth_of_the_amplitude_is_20_db() {
        let bands = MelBands::new();
        let loud = bands.energies(&tone(1000.0, 0.8, 600));
        let quiet = bands.energies(&tone(1000.0, 0.08, 600));
        let band = loudest(&loud)[0];
        for (loud, quiet) in loud.chunks(BANDS).zip(quiet.chunks(BANDS)) {
            assert!((loud[band] - quiet[band] - 0.25).abs() < 1e-3);
            assert!((0..BANDS).all(|band| quiet[band] <= loud[band]));
        }
        // The fundamental of a square wave of 500 Hz is above full scale: it is cut. A constant is no sound.
        let square: Vec<i16> = (0..400)
            .map(|n| if n / 8 % 2 == 0 { i16::MIN } else { i16::MAX })
            .collect();
        let clipped = bands.energies(&square);
        assert!(clipped.iter().all(|y| (0.0..=1.0).contains(y)));
        assert!(clipped.contains(&1.0));
        let constant = bands.energies(&[10_000; 600]);
        assert!(constant[1..BANDS].iter().all(|y| *y < 0.5), "{constant:?}");
    }

    #[test]
    fn silence_is_zero() {
        let bands = MelBands::new();
        assert_eq!(bands.energies(&[0; WINDOW]), [0.0; BANDS]);
        // Only whole windows.
        assert_eq!(bands.energies(&[0; WINDOW + HOP - 1]).len(), BANDS);
        assert_eq!(bands.energies(&[0; WINDOW + HOP]).len(), 2 * BANDS);
        // Equal to the last bit.
        let noise: Vec<i16> = (0..400).map(|n| (n * n / 7 % 2) as i16).collect();
        assert!(bands.energies(&noise).iter().all(|y| *y < 0.1));
        // A sound in the second half of a recording is in the second half of its steps.
        let mut late = vec![0; 1000];
        late.extend(tone(500.0, 0.5, 1000));
        let values = bands.energies(&late);
        let sounds: Vec<_> = values
            .chunks(BANDS)
            .map(|step| step.iter().any(|y| *y > 0.5))
            .collect();
        assert!(sounds[..11].iter().all(|sounds| !sounds), "{sounds:?}");
        assert!(sounds[12..].iter().all(|sounds| *sounds), "{sounds:?}");
    }

    #[test]
    fn files_of_another_name_are_errors() {
        for name in [
            "3.wav",
            "3_ada.wav",
            "10_ada_1.wav",
            "x_ada_1.wav",
            "_ada_1.wav",
            "3__1.wav",
            "3_ada_.wav",
            "3_ada_+1.wav",
            "3_ada_1x.wav",
            "3_ada_4294967296.wav",
        ] {
            let folder = folder();
            put(&folder, name, &wav(SPEC, &[0; 300]));
            let error = load(folder.path()).unwrap_err();
            let said = format!(
                "{name}: `file name` is {name}, expected {{digit}}_{{speaker}}_{{index}}.wav"
            );
            assert!(error.ends_with(&said), "{error}");
        }
    }

    #[test]
    fn other_formats_are_errors() {
        let folder = folder();
        let spec = SPEC;
        for (bytes, said) in [
            (
                wav(
                    WavSpec {
                        sample_rate: 16_000,
                        ..spec
                    },
                    &[0; 400],
                ),
                "`sampling rate` is 16000 Hz, expected 8000 Hz",
            ),
            (
                wav(
                    WavSpec {
                        channels: 2,
                        ..spec
                    },
                    &[0; 400],
                ),
                "`number of channels` is 2, expected 1 (mono)",
            ),
            (
                wav(
                    WavSpec {
                        bits_per_sample: 8,
                        ..spec
                    },
                    &[0; 400],
                ),
                "`sample format` is 8-bit Int, expected 16-bit Int",
            ),
            (
                wav(
                    WavSpec {
                        bits_per_sample: 32,
                        sample_format: SampleFormat::Float,
                        ..spec
                    },
                    &[0; 400],
                ),
                "`sample format` is 32-bit Float, expected 16-bit Int",
            ),
            (
                wav(spec, &[]),
                "`number of samples` is 0, expected at least 200, a window",
            ),
            (
                wav(spec, &[0; 199]),
                "`number of samples` is 199, expected at least 200, a window",
            ),
            (
                vec![0; MOST_FILE_BYTES as usize + 1],
                "`file size` is 1048577 bytes, expected at most 1048576 bytes",
            ),
            (
                Vec::new(),
                "no intact WAV file: Failed to read enough bytes.",
            ),
            (b"RIFF".to_vec(), "no intact WAV file"),
        ] {
            put(&folder, "8_ada_5.wav", &bytes);
            let error = load(folder.path()).unwrap_err();
            assert!(error.contains(&format!("8_ada_5.wav: {said}")), "{error}");
        }
    }

    #[test]
    fn damaged_files_are_errors_or_other_samples() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let whole = wav(SPEC, &tone(700.0, 0.5, 250));
        // A file truncated at any position.
        for length in (0..whole.len()).step_by(3) {
            fs::write(&path, &whole[..length]).unwrap();
            let error = read_wav(&path).unwrap_err().to_string();
            assert!(error.contains("a.wav: no intact WAV file: "), "{error}");
        }
        // Any byte of the header changed: the reader never returns more than the file holds.
        for (position, value) in (0..44).flat_map(|i| [0, 1, 7, 127, 128, 255].map(|v| (i, v))) {
            let mut bytes = whole.clone();
            bytes[position] = value;
            fs::write(&path, &bytes).unwrap();
            match read_wav(&path) {
                Ok(samples) => assert!((WINDOW..=250).contains(&samples.len())),
                Err(error) => assert!(error.to_string().contains("a.wav: "), "{error}"),
            }
        }
    }

    #[test]
    fn a_digit_without_recordings_is_named() {
        let folder = folder();
        let recordings = folder.path().join("recordings");
        let text = || load(folder.path()).unwrap_err();
        fs::remove_file(recordings.join("7_ada_5.wav")).unwrap();
        let said = "recordings: there is no recording of the digit 7 to train on; expected a clone of https://github.com/";
        assert!(text().contains(said), "{}", text());
        put(&folder, "7_ada_49.wav", &wav(SPEC, &[0; 300]));
        fs::remove_file(recordings.join("2_ada_4.wav")).unwrap();
        assert!(text().contains("digit 2 to test on"), "{}", text());
        fs::create_dir(recordings.join("2_ada_0.wav")).unwrap();
        let said = "2_ada_0.wav: is a directory, expected a regular file";
        assert!(text().ends_with(said), "{}", text());
    }
}
