//! `synfire plot`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use burn::tensor::Device;
use clap::Args;
use synfire::InvalidConfig;
use synfire::neuron::{Threshold, Values};
use synfire::plot::{MembranePlot, Picture, RasterPlot, RateHistogram, SurrogatePlot};
use synfire::record::Recorder;
use synfire::surrogate::Surrogate;
use synfire_models::{Context, SpikingNetwork};
use synfire_train::report::save_picture;
use synfire_train::saved::Saved;
use synfire_train::{RunError, device, say};

use crate::EXAMPLES_FIRST;
use crate::trained::Trained;

/// Plot the activity of a trained network, and the surrogate curves, as SVG and PNG.
#[derive(Args, Clone, Debug)]
#[command(help_template = EXAMPLES_FIRST, after_help = "Examples:
  synfire plot
  synfire plot --run runs/mnist --index 7 --out pictures")]
#[command(mut_group("Trained", |group| group.required(false)))]
#[command(mut_arg("run", |run| run.help(RUN_HELP)))]
pub struct Plot {
    #[command(flatten)]
    trained: Option<Trained>,
    /// Number of the test image for the raster and membrane plots
    #[arg(long, value_name = "N", default_value_t = 0)]
    index: u32,
    /// Number of test images for the firing rates, in one batch; all, if there are fewer
    #[arg(long, value_name = "N", default_value_t = 200)]
    images: u32,
    /// Layer of the membrane plot
    #[arg(long, default_value = "output")]
    layer: String,
    /// Neurons of this layer, comma-separated [default: those of the answer, the label and the one after it]
    #[arg(long, value_delimiter = ',')]
    neurons: Option<Vec<usize>>,
    /// Source of the test images [default: the source of the run's data]
    #[arg(long, value_name = "auto|embedded|DIR")]
    data: Option<String>,
    /// Folder for the pictures
    #[arg(long, value_name = "DIR", default_value = "pictures")]
    out: PathBuf,
    /// Device
    #[arg(long, default_value = "auto")]
    device: String,
}

const RUN_HELP: &str = "Folder of a finished run; without a network, only the curves are drawn";

fn save(cli: &Plot, name: &str, picture: &impl Picture) -> Result<(), RunError> {
    for path in save_picture(&cli.out, name, picture)? {
        say!("{}", path.display());
    }
    Ok(())
}

fn curves() -> Result<SurrogatePlot, RunError> {
    let leaky_relu = Surrogate::piecewise_leaky_relu(1.0, 0.1)?;
    Ok(SurrogatePlot::new([
        ("rectangular, a = 1", Surrogate::rectangular(1.0)?),
        ("polynomial, a = 1", Surrogate::polynomial(1.0)?),
        ("sigmoid, a = 0.25", Surrogate::sigmoid(0.25)?),
        ("Gaussian, a = 0.25", Surrogate::gaussian(0.25)?),
        ("arc tangent, alpha = 2", Surrogate::atan(2.0)?),
        ("fast sigmoid, k = 2", Surrogate::fast_sigmoid(2.0)?),
        ("piecewise leaky ReLU", leaky_relu),
    ]))
}

fn network(cli: &Plot, saved: &Saved, device: &Device) -> Result<(), RunError> {
    let test = saved.data(cli.data.as_deref())?.test;
    let (input, labels) = saved.sequences(&test, vec![cli.index], device)?;
    let label = labels[0] as usize;
    let seen = saved.answer(input, Recorder::membranes())?;
    let (index, answer) = (cli.index, seen.answer());
    say!("sample {index}: answer {answer}, label {label}");
    let layers = seen.layers.iter().map(|layer| layer.sample(0));
    let layers = layers.collect::<Result<Vec<_>, _>>()?;
    save(cli, "raster", &RasterPlot::new(layers.clone()))?;

    let Some(layer) = layers.into_iter().find(|layer| layer.name() == cli.layer) else {
        let names: Vec<_> = seen.layers.iter().map(|layer| &*layer.name).collect();
        let found = format!("{} (there are: {})", cli.layer, names.join(", "));
        return Err(InvalidConfig::new("the pictures", "--layer", found, "a layer").into());
    };
    let neurons = cli.neurons.clone().unwrap_or_else(|| {
        let next = (seen.class.max(label) + 1) % layer.neurons();
        let neurons = BTreeSet::from([seen.class, label, next]);
        neurons.into_iter().collect()
    });
    let spikes = layer.spikes().is_some();
    let mut traces = MembranePlot::new(layer, neurons);
    let neuron = saved.run.config.network.neuron_of(&cli.layer);
    if let (true, Some(Threshold::Fixed(Values::One(threshold)))) =
        (spikes, neuron.get("threshold"))
    {
        traces = traces.with_threshold(threshold);
    }
    save(cli, "membranes", &traces)?;

    // One batch suffices for the shape of a distribution, and fits into memory.
    InvalidConfig::require_nonzero("the pictures", "--images", cli.images as usize)?;
    let count = cli.images.min(test.len() as u32);
    let (input, _) = saved.sequences(&test, (0..count).collect(), device)?;
    let mut context = Context::new().with_recorder(Recorder::spikes());
    saved.classifier.network.forward(input, &mut context);
    let layers = context.recorder().layers().iter();
    let rates = layers.map(|layer| Ok((layer.name.clone(), layer.rates()?)));
    let rates = rates.collect::<Result<Vec<_>, RunError>>()?;
    save(cli, "rates", &RateHistogram::new(rates))
}

impl Plot {
    /// Runs the command.
    pub fn run(&self) -> Result<(), RunError> {
        fs::create_dir_all(&self.out).map_err(RunError::io(&self.out))?;
        save(self, "surrogates", &curves()?)?;
        let Some(trained) = &self.trained else {
            return Ok(());
        };
        let device = device(&self.device)?;
        let (saved, _) = trained.load(&device)?;
        network(self, &saved, &device)
    }
}
