//! The workloads: the same networks, inputs and losses as `peers/peers.py` gives to other libraries.

use std::time::Instant;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Device, Gradients, Int, Tensor, TensorData};
use synfire::decode;
use synfire::encode::SampleKeys;
use synfire::init::{Initializer, LayerInit};
use synfire::layer::{NormConfig, SpikeLinear};
use synfire::loss::{StbpLoss, one_hot};
use synfire::neuron::{Lif, LifConfig, Neuron, NeuronConfig};
use synfire::random::{Philox, Purpose};
use synfire::record::Recorder;
use synfire_models::{
    Context, NetworkConfig, NetworkState, SpikingNetwork, StbpCnnConfig, StbpMlpConfig,
    learned_parameters,
};
use synfire_onnx::{OnnxOptions, export};
use synfire_train::{describe, device};

use crate::memory::Resident;
use crate::report::Bandwidth;
use crate::{BenchError, Options, Report, Settings, Workload};

const CLASSES: usize = 10;
const PIXELS: usize = 784;
const GAIN: f64 = 2.0;
const THRESHOLD: f64 = 0.5;
/// After average pooling the input comes in steps of a quarter, some exactly at 0.5.
const POOL_THRESHOLD: f64 = 0.45;
const DECAY: f64 = 0.2;
const LEARNING_RATE: f64 = 1e-3;
const WARM_UP: usize = 3;

/// Runs the benchmark of the options.
///
/// # Errors
///
/// If an option is invalid, the device is unavailable or fails, or layers or gradients are dead.
pub fn run(options: &Options) -> Result<Report, BenchError> {
    let settings = options.settings()?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .use_current_thread()
        .build_global()
        .map_err(|source| BenchError::Threads {
            count: options.threads,
            source,
        })?;
    let device = device(&options.device)?;
    match options.workload {
        Workload::Mlp => {
            let model = mlp(options, settings.size).init(&device)?.train();
            train(options, settings, model, CLASSES, &device)
        }
        Workload::Cnn => {
            let model = cnn(options, settings.size).init(&device)?.train();
            train(options, settings, model, CLASSES, &device)
        }
        Workload::Onm => {
            let model = OneLayer::new(options, settings.size, &device)?.train();
            train(options, settings, model, settings.size, &device)
        }
        Workload::Lif => neurons(options, settings, &device),
        Workload::Infer => infer(options, settings, &device),
        Workload::Zoo => zoo(options, settings, &device),
    }
}

fn neuron(options: &Options, threshold: f64) -> LifConfig {
    LifConfig::new()
        .with_threshold(threshold)
        .with_decay(DECAY)
        .with_surrogate(options.surrogate)
        .with_execution(options.execution.choice().0)
        .with_keep(options.keep)
}

fn mlp(options: &Options, size: usize) -> StbpMlpConfig {
    StbpMlpConfig::new()
        .with_sizes(vec![PIXELS, size, CLASSES])
        .with_neuron(neuron(options, THRESHOLD))
        .with_product(options.execution.choice().1)
        .with_initializer(Initializer::Uniform { gain: GAIN })
        .with_seed(options.seed)
}

fn cnn(options: &Options, size: usize) -> StbpCnnConfig {
    StbpCnnConfig::new()
        .with_hidden(vec![size])
        .with_neuron(neuron(options, THRESHOLD))
        .with_pool_neuron(Some(neuron(options, POOL_THRESHOLD).into()))
        .with_product(options.execution.choice().1)
        .with_initializer(Initializer::Uniform { gain: GAIN })
        .with_seed(options.seed)
}

/// A network of the zoo, with random weights.
fn zoo(options: &Options, settings: Settings, device: &Device) -> Result<Report, BenchError> {
    let name = options.preset.as_deref().unwrap_or_default();
    let preset = NetworkConfig::preset(name)?;
    let settings = Settings {
        time_steps: options.time_steps.unwrap_or(preset.time_steps),
        ..settings
    };
    let mut config = preset.config;
    config.set_time_steps(settings.time_steps);
    let shape = match options.image.as_deref() {
        None => config.image(),
        Some(&[channels, height, width]) => [channels, height, width],
        Some(other) => {
            return Err(BenchError::Option {
                option: "image",
                value: format!("{other:?}"),
                expected: "channels, height and width",
            });
        }
    };
    let classes = options.classes.unwrap_or(config.classes());
    if let Some(width) = options.size {
        config = with_width(&config, width)?;
    }
    config.fit(shape, classes);
    if let Some(kind) = &options.neuron {
        let neuron = NeuronConfig::of_kind(kind)?.with_options_of(&config.layers().neuron);
        config = config.with_neuron(neuron);
    }
    let (execution, product) = options.execution.choice();
    let mut neuron = config.layers().neuron;
    // Not all have several ways.
    let _ = neuron.set("execution", execution);
    if let Some(threshold) = options.threshold {
        neuron.set("threshold", threshold)?;
    }
    config = config.with_neuron(neuron);
    let mut layers = config
        .layers()
        .with_product(product)
        .with_seed(options.seed);
    if options.infer {
        layers.norm = layers.norm.map(of_last_batch);
    }
    config.set_layers(layers);
    let model = config.init(&device.clone().autodiff())?;
    let parameters = learned_parameters(&model);
    let mut report = match options.infer {
        false => train(options, settings, model, classes, device)?,
        true => {
            let shape = [settings.time_steps, settings.batch_size, model.elements()];
            // Without any statistics, normalised layers would be silent.
            let input = spikes(options, shape, &device.clone().autodiff());
            drop(model.forward(input.clone(), &mut Context::new()));
            if let Some(path) = &options.onnx {
                let onnx = OnnxOptions::sequence(settings.time_steps);
                export(&model, &onnx.with_batch_size(settings.batch_size))?.save(path)?;
            }
            let (model, input) = (model.fuse(), input.inner());
            let run = |context: &mut Context| model.forward(input.clone(), context);
            inference(options, settings, device, run, || run(&mut Context::new()))?
        }
    };
    report.parameters = Some(parameters);
    Ok(report)
}

/// The normalisation with the statistics of the last batch alone: those of many batches, each with a part of the first
/// statistics, silence deep networks.
fn of_last_batch(norm: NormConfig) -> NormConfig {
    let mut value = serde_json::to_value(norm).expect("it is of numbers and names");
    value["momentum"] = 1.0.into();
    serde_json::from_value(value).expect("every normalisation has a momentum")
}

/// A network with this number of channels in its first layers.
fn with_width(config: &NetworkConfig, width: usize) -> Result<NetworkConfig, BenchError> {
    let invalid = || BenchError::Option {
        option: "size",
        value: width.to_string(),
        expected: "nothing: the network has no width",
    };
    let mut value = serde_json::to_value(config).map_err(|_| invalid())?;
    let key = ["width", "channels"]
        .into_iter()
        .find(|key| value.get(key).is_some());
    value[key.ok_or_else(invalid)?] = width.into();
    serde_json::from_value(value).map_err(|_| invalid())
}

/// One linear layer with its neurons.
#[derive(Module, Debug)]
struct OneLayer {
    linear: SpikeLinear,
    neuron: Lif,
}

impl OneLayer {
    fn new(options: &Options, size: usize, device: &Device) -> Result<Self, BenchError> {
        let initializer = Initializer::Uniform { gain: GAIN };
        let mut init = LayerInit::new(initializer, options.seed, device)?;
        let linear = SpikeLinear::from(init.linear(size, size));
        Ok(Self {
            linear: linear.with_product(options.execution.choice().1),
            neuron: neuron(options, THRESHOLD).init(device)?,
        })
    }
}

impl SpikingNetwork for OneLayer {
    fn sample_shape(&self) -> Vec<usize> {
        vec![self.linear.weight.dims()[0]]
    }

    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let current = context.linear(&self.linear, input);
        context.neurons("neurons", &self.neuron, current)
    }
}

/// Random numbers, a separate sequence for each tensor that is drawn.
fn draws(options: &Options, sequence: u64, len: usize, low: f32, high: f32) -> Vec<f32> {
    let philox = Philox::new(options.seed).for_purpose(Purpose::Encode);
    philox.uniform(sequence, len, low, high)
}

/// Zeros and ones, `[T, B, inputs]`.
fn spikes(options: &Options, shape: [usize; 3], device: &Device) -> Tensor<3> {
    let density = options.density() as f32;
    let numbers = draws(options, 0, shape.iter().product(), 0.0, 1.0);
    let spikes: Vec<f32> = numbers
        .into_iter()
        .map(|x| f32::from(u8::from(x < density)))
        .collect();
    Tensor::from_data(TensorData::new(spikes, shape), device)
}

/// Labels at random as target rates or, for layers that are no classifier, 0.5 throughout.
fn targets(options: &Options, batch: usize, outputs: usize, device: &Device) -> Tensor<2> {
    match options.workload {
        Workload::Lif | Workload::Onm => Tensor::full([batch, outputs], 0.5, device),
        _ => {
            let labels: Vec<i32> = draws(options, 1, batch, 0.0, outputs as f32)
                .into_iter()
                .map(|x| (x as i32).min(outputs as i32 - 1))
                .collect();
            one_hot(
                Tensor::<1, Int>::from_ints(labels.as_slice(), device),
                outputs,
            )
        }
    }
}

/// Waits until the device has finished.
fn finish(device: &Device) {
    device.sync().expect("the device works");
}

/// Minimum and median of the timed runs, in milliseconds, after warm-up runs. The result of `body` goes to `after`,
/// which is not timed.
fn timed<R>(
    options: &Options,
    device: &Device,
    mut body: impl FnMut() -> R,
    after: impl Fn(R),
) -> [f64; 2] {
    let mut time = || {
        finish(device);
        let start = Instant::now();
        let result = body();
        finish(device);
        let time = start.elapsed().as_secs_f64() * 1e3;
        after(result);
        time
    };
    for _ in 0..WARM_UP {
        time();
    }
    let mut times: Vec<f64> = (0..options.runs).map(|_| time()).collect();
    times.sort_by(f64::total_cmp);
    let middle = times.len() / 2;
    let median = match times.len() % 2 {
        0 => (times[middle - 1] + times[middle]) / 2.0,
        _ => times[middle],
    };
    [times[0], median]
}

/// Frees the graph of a forward pass: autodiff keeps it until a backward pass runs.
fn let_go(spikes: Tensor<3>) {
    drop(spikes.sum().backward());
}

fn check_rates(options: &Options, recorder: &Recorder) -> Result<Vec<f64>, BenchError> {
    let mut rates = Vec::new();
    for (layer, rate) in recorder.firing_rates() {
        let rate = f64::from(rate.clone().try_into_scalar::<f32>()?);
        // In a deep network some layers may be silent; the gradients tell whether it lives.
        let least = match options.workload {
            Workload::Zoo => 0.0,
            _ => 0.02,
        };
        if !(least..=0.9).contains(&rate) {
            return Err(BenchError::Rate {
                workload: options.workload,
                layer: layer.clone(),
                rate,
            });
        }
        rates.push(rate);
    }
    Ok(rates)
}

/// Checks that no gradient is zero in all elements.
struct Alive<'a> {
    gradients: &'a Gradients,
    path: Vec<String>,
    dead: Option<String>,
}

impl ModuleVisitor for Alive<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        // Running statistics are not trained.
        if !parameter.is_require_grad() {
            return;
        }
        let gradient = parameter.val().grad(self.gradients);
        let alive = gradient.is_some_and(|g| g.abs().max().into_scalar::<f32>() > 0.0);
        if !alive {
            self.dead.get_or_insert(self.path.join("."));
        }
    }
}

/// Starts to count memory from here on.
fn start() -> f64 {
    Resident::reset_peak();
    Resident::read().now
}

/// Memory that a device's allocator holds, in MiB.
fn held(device: &Device) -> Option<f64> {
    let usage = device.memory_pool_usage()?;
    Some(usage.bytes_reserved as f64 / f64::from(1 << 20))
}

impl Report {
    /// What was measured, without the parts that not all workloads have. Memory has grown since `before`.
    fn new(
        options: &Options,
        settings: Settings,
        device: &Device,
        before: f64,
        [fwd_ms, step_ms]: [[f64; 2]; 2],
        firing_rates: Vec<f64>,
    ) -> Self {
        let peak = Resident::read().peak;
        Self {
            workload: options.workload,
            preset: options.preset.clone(),
            parameters: None,
            time_steps: settings.time_steps,
            batch_size: settings.batch_size,
            size: settings.size,
            fwd_ms,
            step_ms,
            samples_per_s: settings.batch_size as f64 / step_ms[1] * 1e3,
            peak_rss_mib: peak,
            rss_growth_mib: peak - before,
            device_mib: held(device),
            bandwidth: None,
            firing_rates,
            device: describe(device),
        }
    }
}

fn train<M: SpikingNetwork>(
    options: &Options,
    settings: Settings,
    model: M,
    outputs: usize,
    plain: &Device,
) -> Result<Report, BenchError> {
    let device = plain.clone().autodiff();
    let Settings {
        time_steps,
        batch_size,
        ..
    } = settings;
    let input = spikes(options, [time_steps, batch_size, model.elements()], &device);
    let targets = targets(options, batch_size, outputs, &device);
    let loss = |model: &M, context: &mut Context| {
        let outputs = model.forward(input.clone(), context);
        match options.workload {
            // Cross-entropy of the mean over time: readouts need not be rates.
            Workload::Zoo => {
                let logs = log_softmax(decode::rate(outputs), 1);
                (logs * targets.clone()).sum_dim(1).mean().neg()
            }
            _ => StbpLoss::new().forward(outputs, targets.clone()),
        }
    };
    finish(&device);
    let before = start();

    // Of the zoo's networks some have dropout.
    let draw = SampleKeys::fixed(batch_size as u32);
    let context = || Context::new().with_draw(draw.clone());
    let mut recorded = context().with_recorder(Recorder::rates());
    let first = loss(&model, &mut recorded).backward();
    let firing_rates = check_rates(options, recorded.recorder())?;
    drop(recorded);
    let mut alive = Alive {
        gradients: &first,
        path: Vec::new(),
        dead: None,
    };
    model.visit(&mut alive);
    if let Some(parameter) = alive.dead {
        return Err(BenchError::Gradient {
            workload: options.workload,
            parameter,
        });
    }
    drop(first);

    let mut optimizer = SgdConfig::new().init();
    let mut trained = Some(model);
    let step_ms = timed(
        options,
        &device,
        || {
            let model = trained.take().expect("it is put back");
            let gradients = loss(&model, &mut context()).backward();
            let gradients = GradientsParams::from_grads(gradients, &model);
            trained = Some(optimizer.step(LEARNING_RATE, model, gradients));
        },
        drop,
    );
    let model = trained.expect("it was put back");
    let forward = || model.forward(input.clone(), &mut context());
    let fwd_ms = timed(options, &device, forward, let_go);
    let times = [fwd_ms, step_ms];
    Ok(Report::new(
        options,
        settings,
        plain,
        before,
        times,
        firing_rates,
    ))
}

fn neurons(options: &Options, settings: Settings, plain: &Device) -> Result<Report, BenchError> {
    let device = plain.clone().autodiff();
    let shape = [settings.time_steps, settings.batch_size, settings.size];
    let lif = neuron(options, THRESHOLD).init(&device)?;
    // Normal numbers, mean 0.2, deviation 0.5, by Box and Muller.
    let len: usize = shape.iter().product();
    let (radius, angle) = (
        draws(options, 0, len, 0.0, 1.0),
        draws(options, 1, len, 0.0, std::f32::consts::TAU),
    );
    let normal = radius
        .into_iter()
        .zip(angle)
        .map(|(r, angle)| 0.2 + 0.5 * (-2.0 * (1.0 - r).ln()).sqrt() * angle.cos());
    let data = TensorData::new(normal.collect::<Vec<f32>>(), shape);
    let dtype = options.dtype;
    let input = Tensor::<3>::from_data(data, &device).cast(dtype);
    let input = input.detach().require_grad();
    let targets = targets(options, settings.batch_size, settings.size, &device).cast(dtype);
    finish(&device);
    let before = start();

    let loss = |recorder: &mut Recorder| {
        let spikes = recorder.neurons("neurons", &lif, input.clone(), None).0;
        StbpLoss::new().forward(spikes, targets.clone())
    };
    let mut recorder = Recorder::rates();
    let gradients = loss(&mut recorder).backward();
    let firing_rates = check_rates(options, &recorder)?;
    let of_input = input.grad(&gradients);
    if !of_input.is_some_and(|g| g.abs().max().into_scalar::<f32>() > 0.0) {
        return Err(BenchError::Gradient {
            workload: options.workload,
            parameter: "the input".to_owned(),
        });
    }
    drop(gradients);
    let step = || drop(loss(&mut Recorder::off()).backward());
    let step_ms = timed(options, &device, step, drop);
    let forward = || lif.forward(input.clone(), None).0;
    let fwd_ms = timed(options, &device, forward, let_go);
    let times = [fwd_ms, step_ms];
    let mut report = Report::new(options, settings, plain, before, times, firing_rates);
    let plain_input = input.clone().inner();
    let copy_ms = timed(options, &device, || plain_input.clone() + 1.0, drop);
    let moved = 2.0 * (len * DType::from(dtype).size()) as f64;
    report.bandwidth = Some(Bandwidth {
        forward: moved / fwd_ms[0] / 1e6,
        copy: moved / copy_ms[0] / 1e6,
    });
    Ok(report)
}

fn infer(options: &Options, settings: Settings, device: &Device) -> Result<Report, BenchError> {
    let model = mlp(options, settings.size).init(device)?;
    let shape = [settings.time_steps, settings.batch_size, PIXELS];
    let steps = spikes(options, shape, device).split(1, 0);
    let whole = Tensor::cat(steps.clone(), 0);
    inference(
        options,
        settings,
        device,
        |context| model.forward(whole.clone(), context),
        || {
            let mut state: Option<NetworkState> = None;
            let mut count: Option<Tensor<3>> = None;
            for step in &steps {
                let mut context = Context::new().with_state(state.take());
                let spikes = model.forward(step.clone(), &mut context);
                count = Some(match count {
                    Some(count) => count + spikes,
                    None => spikes,
                });
                state = Some(context.finish());
            }
        },
    )
}

/// Times `run`, which passes a sequence through a network without gradients; `once` does so with a context.
fn inference<R>(
    options: &Options,
    settings: Settings,
    device: &Device,
    once: impl FnOnce(&mut Context) -> Tensor<3>,
    run: impl FnMut() -> R,
) -> Result<Report, BenchError> {
    finish(device);
    let before = start();
    let mut context = Context::new().with_recorder(Recorder::rates());
    once(&mut context);
    let firing_rates = check_rates(options, context.recorder())?;
    drop(context);
    let times = [timed(options, device, run, drop); 2];
    Ok(Report::new(
        options,
        settings,
        device,
        before,
        times,
        firing_rates,
    ))
}
