//! Devices of other machines: the same numbers as on this one, and clear errors.
#![cfg(feature = "remote")]

use std::cell::Cell;
use std::net::TcpListener;
use std::thread;

use burn::backend::fusion::custom::{CustomOpIr, ScalarIr, TensorIr};
use burn::backend::ops::FloatTensorOps;
use burn::backend::{DispatchDevice, Flex, Remote};
use burn::nn::conv::Conv2dConfig;
use burn::remote::CustomOpClient;
use burn::server::{RemoteServer, TokenAuthorizer, WebSocketTransport};
use burn::tensor::{DType, Device, Shape, Tensor, TensorData};
use synfire::decode::rate;
use synfire::dynamics::{Dynamics, Equations, Fire, Real, Step};
use synfire::init::{Initializer, LayerInit};
use synfire::layer::{
    Normalization, Pool2dConfig, Pooling, SeqBatchNormConfig, SpikeConv2d, SpikeLinear,
    self_attention,
};
use synfire::metric::firing_rate;
use synfire::neuron::{
    AnyNeuron, Decay, EquationConfig, KlifConfig, LifConfig, Neuron, NeuronConfig, Parameter,
    Threshold,
};
use synfire::random::Philox;
use synfire::remote::{self, RemoteError, connect};
use synfire::surrogate::{Curve, Surrogate};
use synfire::{InvalidConfig, equation_config};
use synfire_tests::runs::on_digits;
use synfire_tests::{assert_within, devices, parameter_gradients, values};

/// Serves in a thread of this process, and returns the address.
fn serve(server: RemoteServer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    thread::spawn(move || server.serve(WebSocketTransport::from_listener(listener)));
    url
}

fn of_synfire() -> Device {
    let server = remote::server([Device::flex()]).unwrap();
    connect(&serve(server), "", 0).unwrap()
}

fn of_burn() -> Device {
    connect(&serve(RemoteServer::new([Device::flex()])), "", 0).unwrap()
}

fn draws<const D: usize>(seed: u64, shape: [usize; D], low: f32, device: &Device) -> Tensor<D> {
    let numbers = Philox::new(seed).uniform(0, shape.iter().product(), low, 1.5);
    Tensor::from_data(TensorData::new(numbers, shape), device)
}

/// Spikes, last state, gradient of the input, and gradients of the parameters.
fn run(neuron: &AnyNeuron, device: &Device) -> [Vec<f64>; 4] {
    let shape = [4, 2, 3, 4];
    let input = draws(1, shape, -0.5, device).require_grad();
    let (spikes, state) = neuron.forward(input.clone(), None);
    let mut loss = (spikes.clone() * draws(2, shape, -1.0, device)).sum();
    let mut left = Vec::new();
    for (_, value) in state.tensors() {
        let value = Tensor::<4>::from_dispatch(value.clone());
        left.extend(values(&value));
        loss = loss + (value * 0.3).sum();
    }
    let gradients = loss.backward();
    let of_input = values(&input.grad(&gradients).unwrap());
    let learned = parameter_gradients(neuron, &gradients);
    let learned = learned.into_iter().flat_map(|(_, values)| values);
    [values(&spikes), left, of_input, learned.collect()]
}

fn same(config: &NeuronConfig, remote: &Device) {
    same_within(config, remote, 1e-6);
}

fn same_within(config: &NeuronConfig, remote: &Device, tolerance: f64) {
    let [here, there] = [Device::flex(), remote.clone()].map(|device| {
        let device = device.autodiff();
        run(&config.init(&device).unwrap(), &device)
    });
    let what = config.kind();
    assert_eq!(here[0], there[0], "{what}");
    for (here, there) in here.iter().zip(&there) {
        assert_within(there, here, tolerance, &what);
    }
}

#[test]
fn neurons_are_the_same_on_a_server_of_synfire() {
    let remote = of_synfire();
    for config in NeuronConfig::all() {
        same(&config, &remote);
    }
}

#[test]
fn neurons_are_the_same_on_any_server_of_burn() {
    let remote = of_burn();
    for config in NeuronConfig::all() {
        same(&config, &remote);
    }
}

#[test]
fn fused_neurons_are_the_same_on_servers_with_gpus() {
    for (_, device) in devices::on_cubecl() {
        let server = remote::server([device]).unwrap();
        let remote = connect(&serve(server), "", 0).unwrap();
        same_within(&LifConfig::new().into(), &remote, 1e-5);
        same_within(&KlifConfig::new().into(), &remote, 1e-5);
    }
}

equation_config! {
    /// A neuron that no server knows.
    pub struct LeakyConfig {
        /// The potential at which the neuron fires.
        with_threshold => threshold: Threshold = Threshold::from(0.4),
        /// The part of the potential that one step leaves.
        with_decay => decay: Decay = Decay::learned(0.8),
    }
}

impl EquationConfig for LeakyConfig {
    const NAME: &'static str = "LeakyOfTheTest";

    fn parameters(&self) -> Vec<Parameter> {
        vec![self.decay.named("decay"), self.threshold.named("threshold")]
    }

    fn equations(&self) -> Equations {
        Equations::new(self.clone())
    }
}

impl Dynamics<1, 2> for LeakyConfig {
    const CARRIED: [&'static str; 1] = ["v"];

    fn rest(&self) -> [f64; 1] {
        [0.0]
    }

    fn step<R: Real>(
        &self,
        [decay, threshold]: &[R; 2],
        [v]: [R; 1],
        x: R,
        fire: &impl Fire<R>,
    ) -> Step<R, 1> {
        let u = decay.clone() * v + x;
        let spike = fire.fire(u.clone() - threshold.clone());
        let carried = [u.clone() * spike.clone().complement()];
        Step { carried, u, spike }
    }
}

/// A curve that no server knows.
#[derive(Clone, Debug, PartialEq)]
struct Laplace(f64);

impl Curve for Laplace {
    const NAME: &'static str = "laplace surrogate";

    fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require_positive(Self::NAME, "k", self.0).map(drop)
    }

    fn derivative<R: Real>(&self, x: R) -> R {
        x.abs().scale(-self.0).exp().scale(self.0 / 2.0)
    }

    fn primitive<R: Real>(&self, x: R) -> R {
        let tail = x.clone().abs().scale(-self.0).exp().scale(0.5);
        x.select(tail.clone().complement(), tail)
    }

    fn full_width_at_half_maximum(&self) -> f64 {
        2.0 * 2f64.ln() / self.0
    }

    fn with_full_width_at_half_maximum(&self, width: f64) -> Self {
        Self(2.0 * 2f64.ln() / width)
    }

    fn parameters(&self) -> Vec<(&'static str, f64)> {
        vec![("k", self.0)]
    }
}

#[test]
fn neurons_and_surrogates_of_ones_own_need_nothing_on_a_server() {
    let remote = of_synfire();
    same(&NeuronConfig::custom(LeakyConfig::new()).unwrap(), &remote);
    let curve = Surrogate::custom("laplace-of-the-test", Laplace(3.0)).unwrap();
    let lif = LifConfig::new().with_surrogate(curve);
    same(&lif.into(), &remote);
    same(&KlifConfig::new().with_surrogate(curve).into(), &remote);
}

#[test]
fn layers_are_the_same() {
    for remote in [of_synfire(), of_burn()] {
        let [here, there] = [Device::flex(), remote].map(|device| layers(&device.autodiff()));
        for (here, there) in here.iter().zip(&there) {
            assert_within(there, here, 1e-6, "layers");
        }
    }
}

/// The currents of a convolution, its neurons and a linear layer, and all gradients.
fn layers(device: &Device) -> Vec<Vec<f64>> {
    let mut init = LayerInit::new(Initializer::default(), 7, device).unwrap();
    let window = Conv2dConfig::new([3, 4], [3, 3]).with_stride([2, 2]);
    let conv = SpikeConv2d::from(init.conv2d(&window));
    let linear = SpikeLinear::from(init.linear(9, 5));
    let neuron = LifConfig::new().with_threshold(0.2).init(device).unwrap();
    // A tenth of the inputs are spikes: few enough for event-driven products.
    let input = draws(3, [4, 2, 3, 8, 8], -13.5, device);
    let input = input.greater_elem(0.0).float().require_grad();
    let (spikes, _) = conv.forward_into(&neuron, input.clone(), None);
    let currents: Tensor<4> = linear.forward(spikes.flatten(3, 4));
    let weights = draws(4, currents.dims(), -1.0, device);
    let gradients = (currents.clone() * weights).sum().backward();
    let mut all = vec![values(&currents), values(&input.grad(&gradients).unwrap())];
    all.extend(
        parameter_gradients(&conv, &gradients)
            .into_iter()
            .map(|(_, values)| values),
    );
    all.extend(
        parameter_gradients(&linear, &gradients)
            .into_iter()
            .map(|(_, values)| values),
    );
    all
}

#[test]
fn operations_on_images_are_the_same() {
    for (remote, tolerance) in [(of_synfire(), 0.0), (of_burn(), 1e-5)] {
        for neuron in [LifConfig::new().into(), KlifConfig::new().into()] {
            let [here, there] =
                [Device::flex(), remote.clone()].map(|device| images(&neuron, &device.autodiff()));
            for (here, there) in here.iter().zip(&there) {
                assert_within(there, here, tolerance, &neuron.kind());
            }
        }
    }
}

/// Neurons behind a normalisation, pooling, attention, a normalisation alone, and rates: outputs and all gradients.
fn images(neuron: &NeuronConfig, device: &Device) -> Vec<Vec<f64>> {
    let mut init = LayerInit::new(Initializer::default(), 7, device).unwrap();
    // Without a bias, whose gradient a normalisation would take away.
    let window = Conv2dConfig::new([3, 6], [3, 3]).with_bias(false);
    let conv = SpikeConv2d::from(init.conv2d(&window));
    let neuron = neuron.init(device).unwrap();
    let pools = [Pooling::Max, Pooling::Average].map(|pooling| {
        Pool2dConfig::new([2, 2])
            .with_pooling(pooling)
            .init()
            .unwrap()
    });
    let [norm, last] = [6, 2].map(|channels| {
        let norm = SeqBatchNormConfig::new(channels).init(device);
        norm.unwrap()
    });
    let input = draws(3, [4, 2, 3, 10, 10], -1.0, device).require_grad();
    let currents = conv.forward(input.clone());
    let (spikes, state) = norm.normalize_into(&neuron, currents, None);
    let pooled = pools[1].forward(pools[0].forward(spikes.clone()));
    let attended = last.forward(self_attention(pooled, 1, 0.5));
    let [steps, batch, channels, ..] = attended.dims();
    let rates = rate(attended.clone().reshape([steps, batch, channels * 4]));
    let mut loss = (rates.clone() * draws(4, rates.dims(), -1.0, device)).sum();
    loss = loss + (attended.clone() * draws(5, attended.dims(), -1.0, device)).sum();
    for (_, value) in state.tensors() {
        loss = loss + (Tensor::<5>::from_dispatch(value.clone()) * 0.3).sum();
    }
    loss = loss + firing_rate(spikes.clone()).sum();
    let gradients = loss.clone().backward();
    let mut all = vec![
        values(&spikes),
        values(&attended),
        values(&loss),
        values(&input.grad(&gradients).unwrap()),
        values(&norm.norm.running_var.value_sync()),
    ];
    let modules = [
        parameter_gradients(&conv, &gradients),
        parameter_gradients(&norm, &gradients),
        parameter_gradients(&last, &gradients),
        parameter_gradients(&neuron, &gradients),
    ];
    all.extend(modules.into_iter().flatten().map(|(_, values)| values));
    all
}

#[test]
fn runs_come_to_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, device: &str| {
        let run = on_digits(&folder.path().join(name))
            .hidden(&[30])
            .set("samples", 200);
        run.set("time_steps", 4)
            .set("epochs", 1)
            .on(device)
            .run()
            .unwrap()
    };
    let server = remote::server([Device::flex(), Device::flex()]).unwrap();
    let url = serve(server);
    let here = run("here", "flex");
    let there = run("there", &format!("remote:{url}"));
    assert_eq!(here.weights_sha256, there.weights_sha256);
    assert_eq!(there.device, format!("Remote({url})"));
    let second = run("second", &format!("remote:{url}/1"));
    assert_eq!(here.weights_sha256, second.weights_sha256);
}

#[test]
fn a_token_keeps_strangers_away() {
    let authorizer = remote::authorizer("secret").unwrap();
    let server = remote::server([Device::flex()]).unwrap();
    let url = serve(server.with_authorizer(authorizer));
    let wrong = connect(&url, "guess", 0).unwrap_err().to_string();
    assert!(wrong.contains("rejected the credential"), "{wrong}");
    let number = connect(&url, "secret", 1).unwrap_err().to_string();
    assert!(number.contains("only 1 device"), "{number}");
    same(
        &NeuronConfig::of_kind("klif").unwrap(),
        &connect(&url, "secret", 0).unwrap(),
    );
    // A server of Burn with a token, which knows nothing of ours.
    let server = RemoteServer::new([Device::flex()]);
    let url = serve(server.with_authorizer(TokenAuthorizer::new("secret").unwrap()));
    same(
        &NeuronConfig::of_kind("klif").unwrap(),
        &connect(&url, "secret", 0).unwrap(),
    );
}

#[test]
fn another_version_is_named() {
    let server = RemoteServer::new([Device::flex()]);
    let server = server.with_custom_op::<Flex, _>("synfire", |handles, description, device| {
        let data = TensorData::from([9.0f32, 8.0, 7.0, 0.0]);
        let answer = <Flex as FloatTensorOps<Flex>>::float_from_data(data, device);
        handles.register_float_tensor::<Flex>(&description.outputs[0].id, answer);
    });
    let error = connect(&serve(server), "", 0).unwrap_err();
    assert!(matches!(error, RemoteError::Version { .. }), "{error}");
    assert!(error.to_string().contains("9.8.7"), "{error}");
}

#[test]
fn devices_that_cannot_be_served_are_named() {
    let error = remote::server([]).err().unwrap();
    assert!(matches!(error, RemoteError::Devices(_)), "{error}");
    assert!(matches!(
        remote::authorizer(""),
        Err(RemoteError::EmptyToken)
    ));
}

#[test]
fn operations_that_do_not_fit_end_their_session_alone() {
    let url = serve(remote::server([Device::flex()]).unwrap());
    let sound = connect(&url, "", 0).unwrap();
    let json = |text: &str| {
        let mut scalars = vec![ScalarIr::UInt(text.len() as u64)];
        scalars.extend(text.as_bytes().chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            ScalarIr::UInt(u64::from_le_bytes(word))
        }));
        scalars
    };
    let sessions = Cell::new(0);
    // Sends an operation of ones, and returns whether there is an output. Other sessions go on in any case.
    let runs = |id: &'static str, inputs: &[&[usize]], scalars, outputs: &[&[usize]]| {
        // Credentials that nobody checks make sessions of their own.
        sessions.set(sessions.get() + 1);
        let device = connect(&url, &sessions.get().to_string(), 0).unwrap();
        let DispatchDevice::Remote(remote) = device.as_dispatch() else {
            panic!("it is remote");
        };
        let client = CustomOpClient::new(remote);
        let inputs = inputs.iter().map(|shape| {
            let shape = Shape::from(shape.to_vec());
            let ones =
                <Remote as FloatTensorOps<Remote>>::float_ones(shape, remote, DType::F32.into());
            ones.into_ir()
        });
        let inputs: Vec<_> = inputs.collect();
        let elements = outputs[0].iter().product::<usize>();
        let outputs = outputs.iter().map(|shape| {
            let shape = Shape::from(shape.to_vec());
            TensorIr::uninit(client.create_empty_handle(), shape, DType::F32)
        });
        let outputs: Vec<_> = outputs.collect();
        let sent = CustomOpIr::with_scalars(id, &inputs, &outputs, scalars);
        let output = client.register(sent).remove(0);
        let flat = Shape::from([elements]);
        let output = <Remote as FloatTensorOps<Remote>>::float_reshape(output, flat);
        let read = Tensor::<1>::from_primitive::<Remote>(output).try_into_data();
        same(&LifConfig::new().into(), &sound);
        read.is_ok()
    };

    let synapse = |weights: &[usize], scalars| {
        runs("synfire.synapse", &[&[5, 4], weights], scalars, &[&[5, 2]])
    };
    let linear = || json(r#"{"kind":"Linear","product":"auto"}"#);
    assert!(synapse(&[4, 2], linear()));
    assert!(!synapse(&[3, 2], linear()), "weights of three inputs");
    assert!(!synapse(&[4, 2], json("{}")), "no connections");
    assert!(!synapse(&[4, 2], vec![ScalarIr::UInt(u64::MAX)]), "no text");
    assert!(!synapse(&[4, 2], Vec::new()), "no numbers");

    let image: &[usize] = &[1, 1, 6, 4, 4];
    let pool = |size: usize, stride: usize, out: usize| {
        let axes = format!(r#""size":[{size},2],"stride":[{stride},2],"padding":[[0,0],[0,0]]"#);
        let average = json(&format!(r#"{{"Average":{{{axes}}}}}"#));
        runs("synfire.pool", &[image], average, &[&[1, 1, 6, out, 2]])
    };
    assert!(pool(2, 2, 2));
    assert!(!pool(0, 2, 2), "empty windows");
    assert!(!pool(2, 0, 2), "windows that do not move");
    assert!(!pool(5, 1, 1), "windows larger than the image");

    let attention = |heads: usize| {
        let heads = json(&format!(r#"{{"heads":{heads},"scale":0.5}}"#));
        runs("synfire.attention", &[image], heads, &[&[1, 1, 2, 4, 4]])
    };
    assert!(attention(1));
    assert!(!attention(0), "no heads");
    assert!(!attention(3), "more heads than channels");

    let norm = |gamma: &[usize]| {
        let epsilon = json(r#"{"epsilon":0.00001}"#);
        runs(
            "synfire.norm",
            &[image, gamma, &[6]],
            epsilon,
            &[image, &[3, 6]],
        )
    };
    assert!(norm(&[6]));
    assert!(!norm(&[4]), "gamma of other channels");
}
