//! What the tests of Synfire share: comparisons, devices, and plain loops to compare with.

pub mod cases;
pub mod devices;
pub mod mutations;
pub mod nir;
pub mod reference;
pub mod runs;
pub mod strategies;

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use safetensors::tensor::{Dtype, TensorView};

/// Prints a line that the test harness does not hold back.
pub fn say(line: &str) {
    // A closed standard output is no reason to fail.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A folder with real data that cannot be part of the project, in the folder that the variable `SYNFIRE_DATA` names. Where it is
/// not, this prints that a test skips.
pub fn data_folder(name: &str) -> Option<PathBuf> {
    let folder = env::var_os("SYNFIRE_DATA").map(|data| Path::new(&data).join(name));
    let found = folder.filter(|folder| folder.is_dir());
    if found.is_none() {
        say(&format!(
            "skipped: the variable SYNFIRE_DATA names no folder with a folder `{name}`"
        ));
    }
    found
}

/// Values of a tensor as `f64`, row by row.
pub fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.to_data().convert::<f64>().iter::<f64>().collect()
}

/// A tensor of `f32` from nested values that were flattened row by row.
pub fn tensor<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
    let values: Vec<f32> = values.iter().map(|x| *x as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A linear layer with weights `[in, out]`, row by row, and biases.
pub fn linear(
    weights: &[f64],
    [inputs, outputs]: [usize; 2],
    biases: &[f64],
    device: &Device,
) -> Linear {
    let mut linear = LinearConfig::new(inputs, outputs).init(device);
    linear.weight = Param::from_tensor(tensor::<2>(weights, [inputs, outputs], device));
    linear.bias = Some(Param::from_tensor(tensor::<1>(biases, [outputs], device)));
    linear
}

/// Writes a safetensors file of single precision: names, shapes and numbers row by row.
pub fn write_tensors<'a>(
    path: &Path,
    tensors: impl IntoIterator<Item = (&'a str, Vec<usize>, Vec<f64>)>,
) {
    let tensors: Vec<_> = tensors
        .into_iter()
        .map(|(name, shape, numbers)| {
            let bytes = numbers.iter().flat_map(|x| (*x as f32).to_le_bytes());
            (name, shape, bytes.collect::<Vec<u8>>())
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        (*name, view)
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// The gradients of all parameters of a module, in its order; zeros where there is none.
pub fn parameter_gradients(module: &impl Module, gradients: &Gradients) -> Vec<(String, Vec<f64>)> {
    struct Visit<'a> {
        gradients: &'a Gradients,
        path: Vec<String>,
        found: Vec<(String, Vec<f64>)>,
    }

    impl ModuleVisitor for Visit<'_> {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            let value = parameter.val();
            let gradient = match value.grad(self.gradients) {
                Some(gradient) => values(&gradient),
                None => vec![0.0; value.shape().num_elements()],
            };
            self.found.push((self.path.join("."), gradient));
        }

        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
    }

    let mut visit = Visit {
        gradients,
        path: Vec::new(),
        found: Vec::new(),
    };
    module.visit(&mut visit);
    visit.found
}

/// The largest difference, as a part of the largest reference value.
pub fn relative_error(got: &[f64], reference: &[f64]) -> f64 {
    assert_eq!(got.len(), reference.len(), "lengths differ");
    let scale = reference.iter().fold(0.0f64, |max, x| max.max(x.abs()));
    let worst = got
        .iter()
        .zip(reference)
        .fold(0.0f64, |worst, (got, reference)| {
            // NaN must not pass as small.
            let difference = (got - reference).abs();
            if difference.is_nan() {
                f64::INFINITY
            } else {
                worst.max(difference)
            }
        });
    if worst == 0.0 { 0.0 } else { worst / scale }
}

/// Asserts `|got - reference| <= 1e-5 max|reference|`.
#[track_caller]
pub fn assert_close(got: &[f64], reference: &[f64], what: &str) {
    assert_within(got, reference, 1e-5, what);
}

/// Asserts `|got - reference| <= tolerance max|reference|`.
#[track_caller]
pub fn assert_within(got: &[f64], reference: &[f64], tolerance: f64, what: &str) {
    let error = relative_error(got, reference);
    assert!(error <= tolerance, "{what}: relative error {error:e}");
}

/// Asserts that sums of so many terms, made in another order, agree: to 1e-5 of the largest or, where terms cancel, of what
/// their magnitudes come to, which for the numbers of these tests is a tenth for each.
#[track_caller]
pub fn assert_close_sums(got: &[f64], reference: &[f64], terms: usize, what: &str) {
    assert_eq!(got.len(), reference.len(), "{what}: lengths differ");
    let scale = reference
        .iter()
        .fold(0.1 * terms as f64, |max, x| max.max(x.abs()));
    for (got, reference) in got.iter().zip(reference) {
        let error = (got - reference).abs() / scale;
        // NaN must not pass as small.
        assert!(
            error <= 1e-5,
            "{what}: {got} for {reference}, {error:e} of {scale}"
        );
    }
}

/// The program in the README, compiled and run as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The programs in what is written about other libraries.
#[cfg(doctest)]
#[doc = include_str!("../../docs/differences.md")]
pub struct Differences;

/// The programs of the tutorial on recurrent layers.
#[cfg(doctest)]
#[doc = include_str!("../../docs/recurrent.md")]
pub struct Recurrent;

/// The programs in the zoo's README.
#[cfg(doctest)]
#[doc = include_str!("../../models/README.md")]
pub struct Zoo;
