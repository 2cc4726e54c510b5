//! The command line.

use std::fmt::{self, Display};
use std::path::PathBuf;

use burn::tensor::FloatDType;
use clap::{Parser, ValueEnum};
use serde::Serialize;
use serde::de::DeserializeOwned;
use synfire::InvalidConfig;
use synfire::ops::{Execution, Keep, Product};
use synfire::surrogate::{AnyCurve, Surrogate};

use crate::BenchError;

/// Times training steps and inference of spiking networks.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Options {
    /// Workload to time.
    #[arg(value_enum)]
    pub workload: Workload,
    /// The network of `zoo`, see `synfire zoo`.
    #[arg(long, value_name = "NAME", required_if_eq("workload", "zoo"))]
    pub preset: Option<String>,
    /// Channels, height and width of the images of `zoo` [default: those of the preset].
    #[arg(long, value_name = "C,H,W", value_delimiter = ',', num_args = 1)]
    pub image: Option<Vec<usize>>,
    /// Classes of `zoo` [default: those of the preset].
    #[arg(long)]
    pub classes: Option<usize>,
    /// Threshold of the neurons of `zoo`, other than those of attention [default: that of the preset].
    #[arg(long)]
    pub threshold: Option<f64>,

    /// Neurons of `zoo`, see `synfire neurons` [default: those of the preset].
    #[arg(long, value_name = "NAME")]
    pub neuron: Option<String>,
    /// Time inference of `zoo` in place of training steps.
    #[arg(long)]
    pub infer: bool,
    /// Write the network of `zoo` as an ONNX model of such sequences, too.
    #[arg(long, value_name = "FILE", requires = "infer", requires = "preset")]
    pub onnx: Option<PathBuf>,
    /// Time steps T [default: mlp, lif, infer: 30, cnn: 10, onm: 500, zoo: those of the preset].
    #[arg(long)]
    pub time_steps: Option<usize>,
    /// Samples in a batch [default: mlp, cnn, lif: 100, onm, zoo: 16, infer: 1].
    #[arg(long)]
    pub batch_size: Option<usize>,
    /// Neurons in the hidden layer (mlp, cnn, infer), or in the only one [default: mlp, lif, infer: 800, cnn: 300, onm: 512];
    /// channels of the first stage of `zoo` [default: those of the preset].
    #[arg(long)]
    pub size: Option<usize>,
    /// The part of the inputs that fires in a step, above 0, at most 1 [default: 0.13, zoo: 0.5].
    #[arg(long)]
    pub density: Option<f64>,
    /// Threads of the CPU backends.
    #[arg(long, default_value_t = 2)]
    pub threads: usize,
    /// Number of timed repetitions.
    #[arg(long, default_value_t = 20)]
    pub runs: usize,
    /// Decides weights and inputs. With the default the layers of `cnn` fire in 0.17 to 0.23 of all steps.
    #[arg(long, default_value_t = 20)]
    pub seed: u64,
    /// The device: auto, flex, ndarray, cpu, wgpu, vulkan, metal, cuda or rocm, with a number after a colon.
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Element type of `lif`, f32, f16 or bf16; all others use f32.
    #[arg(long, default_value = "f32", value_parser = dtype)]
    pub dtype: FloatDType,
    /// The curve in place of the spike's derivative, see `synfire surrogates`.
    #[arg(long, default_value = "rectangular", value_parser = surrogate)]
    pub surrogate: Surrogate,
    /// Execution of neurons and products.
    #[arg(long, value_enum, default_value = "auto")]
    pub execution: ExecutionOption,
    /// Tensors that neurons save for backward: least, membranes or input.
    #[arg(long, default_value = "least", value_parser = named::<Keep>)]
    pub keep: Keep,
    /// Print one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Workload to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// 784-800-10, fully connected.
    Mlp,
    /// 28x28-15C5-P2-40C5-P2-300-10, convolutional.
    Cnn,
    /// A layer of neurons alone.
    Lif,
    /// One linear layer with its neurons, over many steps.
    Onm,
    /// The network of `mlp`, step by step, without gradients.
    Infer,
    /// A network of the zoo.
    Zoo,
}

impl Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("none is hidden");
        f.write_str(value.get_name())
    }
}

/// Execution of neurons and products. The results agree to rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExecutionOption {
    /// As Synfire chooses: neurons fused, products event-driven where spikes are sparse
    Auto,
    /// Burn's operations only: a graph for every step, dense products
    Unrolled,
    /// Neurons fused, products dense
    Fused,
}

impl ExecutionOption {
    /// The corresponding option of Synfire.
    pub fn choice(self) -> (Execution, Product) {
        match self {
            Self::Auto => (Execution::Auto, Product::Auto),
            Self::Unrolled => (Execution::Unrolled, Product::Dense),
            Self::Fused => (Execution::Auto, Product::Dense),
        }
    }
}

/// Reads a value by its name in files.
fn named<T: DeserializeOwned>(name: &str) -> Result<T, serde_json::Error> {
    serde_json::from_value(name.into())
}

/// An element type, named `f32` for `F32`.
fn dtype(name: &str) -> Result<FloatDType, serde_json::Error> {
    named(&name.to_uppercase())
}

/// A curve with its default parameters.
fn surrogate(name: &str) -> Result<Surrogate, InvalidConfig> {
    let curve = AnyCurve::all().into_iter().find(|curve| curve.id() == name);
    let expected = "a name that `synfire surrogates` lists";
    Surrogate::new(
        curve.ok_or_else(|| InvalidConfig::new("synfire-bench", "surrogate", name, expected))?,
    )
}

/// The sizes of a workload.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// T.
    pub time_steps: usize,
    /// B.
    pub batch_size: usize,
    /// Neurons.
    pub size: usize,
}

impl Options {
    /// The part of the inputs that fires in a step.
    pub fn density(&self) -> f64 {
        let default = match self.workload {
            Workload::Zoo => 0.5,
            _ => 0.13,
        };
        self.density.unwrap_or(default)
    }

    /// The requested sizes, or the defaults of the workload.
    ///
    /// # Errors
    ///
    /// If a size is 0 or more than 2^24, or another number is out of range.
    pub fn settings(&self) -> Result<Settings, BenchError> {
        let (time_steps, batch_size, size) = match self.workload {
            Workload::Mlp | Workload::Lif => (30, 100, 800),
            Workload::Cnn => (10, 100, 300),
            Workload::Onm => (500, 16, 512),
            Workload::Infer => (30, 1, 800),
            Workload::Zoo => (4, 16, 1),
        };
        let settings = Settings {
            time_steps: self.time_steps.unwrap_or(time_steps),
            batch_size: self.batch_size.unwrap_or(batch_size),
            size: self.size.unwrap_or(size),
        };
        for (option, value) in [
            ("time-steps", settings.time_steps),
            ("batch-size", settings.batch_size),
            ("size", settings.size),
            ("threads", self.threads),
            ("runs", self.runs),
        ] {
            if !(1..=1 << 24).contains(&value) {
                return Err(BenchError::Option {
                    option,
                    value: value.to_string(),
                    expected: "from 1 to 16777216",
                });
            }
        }
        if self.dtype != FloatDType::F32 && self.workload != Workload::Lif {
            return Err(BenchError::Option {
                option: "dtype",
                value: format!("{:?}", self.dtype).to_lowercase(),
                expected: "f32, but for `lif`",
            });
        }
        let density = self.density();
        if !(density > 0.0 && density <= 1.0) {
            return Err(BenchError::Option {
                option: "density",
                value: density.to_string(),
                expected: "a number above 0, at most 1",
            });
        }
        Ok(settings)
    }
}
