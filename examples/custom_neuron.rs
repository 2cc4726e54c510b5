//! A neuron of your own: its equations, written once, train on every backend and run fused on the CPU.
//! `cargo run --release --example custom_neuron`

use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Int, Tensor};
use synfire::dynamics::{Dynamics, Equations, Fire, Real, Step};
use synfire::equation_config;
use synfire::loss::{StbpLoss, one_hot};
use synfire::neuron::{
    Decay, EquationConfig, EquationNeuron, NeuronConfig, ParamInit, Parameter, Reset, ResetRule,
    Threshold,
};
use synfire_models::{SewResNetConfig, SpikingNetwork, StbpMlpConfig};

equation_config! {
    /// Configuration of a [`Saturating`] neuron.
    pub struct SaturatingConfig {
        /// The membrane potential at which the neuron fires.
        with_threshold => threshold: Threshold = Threshold::from(0.3),
        /// The decay of the membrane potential per step, learned.
        with_decay => decay: Decay = Decay::sigmoid(0.7),
        /// The maximum potential that an input can add, learned.
        with_most => most: ParamInit = ParamInit::learned(1.5),
        /// The reset of the membrane potential after a spike.
        with_reset => reset: Reset = Reset::Soft,
    }
}

/// A leaky neuron whose input saturates: `u[t] = decay v[t-1] + most tanh(x[t] / most)`.
pub type Saturating = EquationNeuron<SaturatingConfig>;

impl EquationConfig for SaturatingConfig {
    const NAME: &'static str = "Saturating";

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            self.decay.named("decay"),
            self.most.named("most"),
            self.threshold.named("threshold"),
        ]
    }

    fn equations(&self) -> Equations {
        Equations::new(self.clone())
    }
}

/// One carried number, `v`, and the three parameters above.
impl Dynamics<1, 3> for SaturatingConfig {
    const CARRIED: [&'static str; 1] = ["v"];

    fn rest(&self) -> [f64; 1] {
        [0.0]
    }

    // `R` is a tensor, a vector of the processor, or a number with its derivatives.
    #[inline(always)]
    fn step<R: Real>(
        &self,
        [decay, most, threshold]: &[R; 3],
        [v]: [R; 1],
        x: R,
        fire: &impl Fire<R>,
    ) -> Step<R, 1> {
        // tanh(x) = 2 sigmoid(2 x) - 1
        let sigmoid = (x / most.clone()).scale(2.0).sigmoid();
        let tanh = sigmoid.scale(2.0).plus(-1.0);
        let u = decay.clone() * v + most.clone() * tanh;
        let spike = fire.fire(u.clone() - threshold.clone());
        let rule = ResetRule::new(self.reset, self.temporal_gradient);
        let v = rule.left(&u, &spike, threshold);
        Step {
            carried: [v],
            u,
            spike,
        }
    }
}

fn run() -> Result<(), synfire::InvalidConfig> {
    let device = Device::default().autodiff();
    device.seed(0);
    let neuron = NeuronConfig::custom(SaturatingConfig::new())?;

    // In a network of the zoo, like any other neuron. Four classes: the quarter of the input that is stronger.
    let config = StbpMlpConfig::new().with_sizes(vec![64, 30, 4]);
    let mut network = config.with_neuron(neuron.clone()).init(&device)?;
    let mut optimizer = AdamConfig::new().init();
    let labels = Tensor::<1, Int>::arange(0..32, &device).remainder_scalar(4);
    let quarter: Tensor<2> = one_hot(labels.clone(), 4).repeat_dim(1, 16);
    let noise = Tensor::<2>::random([32, 64], Distribution::Uniform(0.0, 0.5), &device);
    let quarter = quarter.reshape([32, 16, 4]).swap_dims(1, 2);
    let images: Tensor<2> = noise + quarter.reshape([32, 64]);
    let input: Tensor<3> = synfire::encode::repeat(images, 6);
    for step in 0..30 {
        let spikes = network.run(input.clone());
        let loss = StbpLoss::new().forward(spikes, one_hot(labels.clone(), 4));
        if step % 10 == 0 {
            let loss = loss.clone().into_scalar::<f32>();
            println!("step {step:2}  loss {loss:.3}");
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(1e-2, network, gradients);
    }
    let rates = synfire::decode::rate(network.run(input));
    let accuracy = synfire::decode::accuracy(rates, labels);
    println!("accuracy {:.0} %", 100.0 * accuracy);

    // The same neuron in a deep network.
    let resnet = SewResNetConfig::resnet18()
        .with_width(4)
        .with_classes(4)
        .with_image([3, 32, 32]);
    let resnet = resnet.with_neuron(neuron).init(&device)?;
    let layers = resnet.layer_names().len();
    println!("{layers} layers of them in a SEW-ResNet");
    Ok(())
}

fn main() {
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}
