//! Benchmarks of single kernels: `cargo bench -p synfire-bench`, or `-- NAME` for the kernels whose names contain it.
//!
//! `linear` and `conv` show up to which spike density event-driven products are faster than dense ones. `lif` compares the
//! execution paths of neurons and the cost of saving membranes for backward; `equations` does the same for other neurons.

use burn::nn::LinearConfig;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::{Device, Tensor, TensorData};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use synfire::layer::{Pool2dConfig, SpikeConv2d, SpikeLinear};
use synfire::neuron::{Decay, LifConfig, Neuron, NeuronConfig, Reset, Spikes};
use synfire::ops::{Execution, Keep, Product};
use synfire::random::Philox;
use synfire::surrogate::Surrogate;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn spikes<const D: usize>(shape: [usize; D], density: f64, device: &Device) -> Tensor<D> {
    let numbers = Philox::new(1).uniform(0, shape.iter().product(), 0.0, 1.0);
    let spikes: Vec<f32> = numbers
        .into_iter()
        .map(|x| f32::from(u8::from(f64::from(x) < density)))
        .collect();
    Tensor::from_data(TensorData::new(spikes, shape), device)
}

fn currents<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let numbers = Philox::new(2).uniform(0, shape.iter().product(), -0.6, 1.0);
    Tensor::from_data(TensorData::new(numbers, shape), device)
}

const DENSITIES: [f64; 7] = [0.02, 0.05, 0.13, 0.25, 0.5, 0.75, 1.0];
const PRODUCTS: [(&str, Product); 3] = [
    ("auto", Product::Auto),
    ("events", Product::Events),
    ("dense", Product::Dense),
];

fn linear(criterion: &mut Criterion) {
    let device = Device::flex().autodiff();
    for (inputs, outputs) in [(784, 800), (512, 512), (640, 300), (800, 10)] {
        let mut group = criterion.benchmark_group(format!("linear {inputs}x{outputs}, 1500 rows"));
        group.sample_size(20);
        let layer = LinearConfig::new(inputs, outputs).init(&device);
        for density in DENSITIES {
            // Preceding neurons need the gradient of their spikes.
            let x = spikes([1500, inputs], density, &device).require_grad();
            for (name, product) in PRODUCTS {
                let layer = SpikeLinear::from(layer.clone()).with_product(product);
                group.bench_function(BenchmarkId::new(name, density), |bench| {
                    bench.iter(|| layer.forward(x.clone()).sum().backward());
                });
            }
        }
    }
}

fn conv(criterion: &mut Criterion) {
    let device = Device::flex().autodiff();
    for (channels, outputs, size, kernel, groups) in [
        (1, 15, 28, 5, 1),
        (15, 40, 12, 5, 1),
        (64, 64, 16, 3, 1),
        (64, 64, 16, 3, 16),
        (64, 64, 16, 3, 64),
    ] {
        let of_groups = match groups {
            1 => String::new(),
            _ => format!(" in {groups} groups"),
        };
        let name =
            format!("conv {channels}x{size}x{size} {outputs}C{kernel}{of_groups}, 100 images");
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        let config = Conv2dConfig::new([channels, outputs], [kernel, kernel]);
        let layer = config.with_groups(groups).init(&device);
        for density in DENSITIES {
            let x = spikes([100, channels, size, size], density, &device).require_grad();
            for (name, product) in PRODUCTS {
                let layer = SpikeConv2d::from(layer.clone()).with_product(product);
                group.bench_function(BenchmarkId::new(name, density), |bench| {
                    bench.iter(|| layer.forward(x.clone()).sum().backward());
                });
            }
        }
    }
}

fn lif(criterion: &mut Criterion) {
    let device = Device::flex().autodiff();
    let shape = [30, 100, 800];
    let x = currents(shape, &device).require_grad();
    // A gradient that differs from step to step.
    let weights = currents(shape, &device);
    let mut group = criterion.benchmark_group("lif [30, 100, 800]");
    group.sample_size(20);
    let config = LifConfig::new;
    let variants = [
        ("hard, rectangle", config()),
        ("hard, keeps the input", config().with_keep(Keep::Input)),
        (
            "hard, unrolled",
            config().with_execution(Execution::Unrolled),
        ),
        ("soft", config().with_reset(Reset::Soft)),
        ("exponential", config().with_reset(Reset::Exponential)),
        (
            "sigmoid",
            config().with_surrogate(Surrogate::sigmoid(0.3).expect("valid")),
        ),
        (
            "atan",
            config().with_surrogate(Surrogate::atan(2.0).expect("valid")),
        ),
        ("learned decay", config().with_decay(Decay::learned(0.5))),
        ("ternary", config().with_spikes(Spikes::Ternary)),
    ];
    for (name, config) in variants {
        let lif = config.init(&device).expect("a valid neuron");
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let current = x.clone() * 1.0;
                (lif.forward(current, None).0 * weights.clone())
                    .sum()
                    .backward()
            });
        });
    }
}

/// Neurons defined by equations, fused and unrolled.
fn equations(criterion: &mut Criterion) {
    let device = Device::flex().autodiff();
    let shape = [15, 100, 800];
    let x = currents(shape, &device).require_grad();
    let weights = currents(shape, &device);
    let mut group = criterion.benchmark_group("equations [15, 100, 800]");
    group.sample_size(10);
    for config in NeuronConfig::all() {
        for (path, how) in [
            (Execution::Auto, "fused"),
            (Execution::Unrolled, "unrolled"),
        ] {
            let mut config = config.clone();
            if config.set("execution", path).is_err() {
                continue; // It has one way only.
            }
            // Those that have weights for each step.
            let _ = config.set("time_steps", shape[0]);
            let neuron = config.init(&device).expect("a valid neuron");
            group.bench_function(BenchmarkId::new(config.kind(), how), |bench| {
                bench.iter(|| {
                    let current = x.clone() * 1.0;
                    (neuron.forward(current, None).0 * weights.clone())
                        .sum()
                        .backward()
                });
            });
        }
    }
}

fn pool(criterion: &mut Criterion) {
    let device = Device::flex().autodiff();
    let pool = Pool2dConfig::new([2, 2]).init().expect("a window");
    let first = spikes([10, 100, 15, 24, 24], 0.2, &device).require_grad();
    let last = spikes([10, 100, 24, 24, 15], 0.2, &device).require_grad();
    let mut group = criterion.benchmark_group("pool [10, 100, 15, 24, 24]");
    group.sample_size(20);
    group.bench_function("channels first", |bench| {
        bench.iter(|| pool.forward(first.clone()).sum().backward());
    });
    group.bench_function("channels last", |bench| {
        let images = || last.clone().permute([0, 1, 4, 2, 3]);
        bench.iter(|| pool.forward(images()).sum().backward());
    });
}

criterion_group!(benches, linear, conv, lif, equations, pool);
criterion_main!(benches);
