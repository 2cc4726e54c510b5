//! Moving averages of weights, and the bound of gradients: what a training step does around the optimizer's.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use synfire_models::AnyNetwork;

/// An exponential moving average of a network's weights and statistics, which validation and test take in place of the network
/// (Polyak and Juditsky 1992, *Acceleration of Stochastic Approximation by Averaging*).
///
/// ```text
/// average <- d average + (1 - d) weights       d = min(decay, (1 + n) / (10 + n)) in step n
/// ```
#[derive(Module, Debug)]
pub struct Average {
    /// The network with these weights.
    pub network: AnyNetwork,
    #[module(skip)]
    decay: f64,
    #[module(skip)]
    steps: usize,
}

impl Average {
    /// The average of the weights of one network, after this many steps.
    pub fn new(network: &AnyNetwork, decay: f64, steps: usize) -> Self {
        Self {
            // Of its own: clones share the statistics of normalisations.
            network: network.valid().map(&mut Apart),
            decay,
            steps,
        }
    }

    /// Adds the weights after a step.
    #[must_use]
    pub fn with(mut self, network: &AnyNetwork) -> Self {
        let n = self.steps as f64;
        let decay = self.decay.min((1.0 + n) / (10.0 + n));
        let mut weights = Weights(Vec::new());
        network.visit(&mut weights);
        let weights = weights.0.into_iter();
        self.network = self.network.map(&mut Blend { weights, decay });
        self.steps += 1;
        self
    }
}

/// Makes parameters of their own, without gradients.
struct Apart;

impl ModuleMapper for Apart {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let values = parameter.val().inner();
        Param::initialized(ParamId::new(), values.set_require_grad(false))
    }
}

/// All tensors, flat.
struct Weights(Vec<Tensor<1>>);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.0.push(parameter.val().inner().reshape([-1]));
    }
}

struct Blend<I> {
    weights: I,
    decay: f64,
}

impl<I: Iterator<Item = Tensor<1>>> ModuleMapper for Blend<I> {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let weights = self.weights.next().expect("both networks are alike");
        let (id, average, _) = parameter.consume();
        let trains = average.is_autodiff();
        let weights = weights.reshape(average.dims());
        let average = average.inner() * self.decay + weights * (1.0 - self.decay);
        let average = match trains {
            true => Tensor::from_inner(average),
            false => average,
        };
        Param::initialized(id, average.set_require_grad(false))
    }
}

/// Scales gradients so that the norm of all together is at most `most` (Pascanu et al. 2013, *On the Difficulty of Training
/// Recurrent Neural Networks*).
pub fn clip<M: Module>(module: &M, mut gradients: GradientsParams, most: f64) -> GradientsParams {
    let mut squares = Squares {
        gradients: &gradients,
        sum: None,
    };
    module.visit(&mut squares);
    if let Some(sum) = squares.sum {
        let factor = (sum.sqrt() + 1e-6).recip() * most;
        module.visit(&mut Scale {
            gradients: &mut gradients,
            factor: factor.clamp_max(1.0),
        });
    }
    gradients
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(parameter.id) {
            let squares = (gradient.clone() * gradient).sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + squares,
                None => squares,
            });
        }
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: Tensor<1>,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(parameter.id) {
            let scaled = gradient * self.factor.clone().reshape([1; D]);
            self.gradients.register(parameter.id, scaled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;
    use synfire::layer::NormConfig;
    use synfire_models::{NetworkConfig, SpikingNetwork, StbpMlpConfig};

    fn weights<M: Module>(module: &M) -> Vec<f32> {
        let mut weights = Weights(Vec::new());
        module.visit(&mut weights);
        Tensor::cat(weights.0, 0).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn the_average_follows_the_weights() {
        let device = Device::default();
        let network = |seed| -> AnyNetwork {
            let config = StbpMlpConfig::new().with_sizes(vec![4, 3, 2]);
            let config = config.with_norm(Some(NormConfig::batch())).with_seed(seed);
            NetworkConfig::from(config).init(&device).unwrap().train()
        };
        let (first, second) = (network(1), network(2));
        let input = Tensor::<3>::ones([2, 5, 4], &device.autodiff());
        let average = Average::new(&first, 0.6, 0);
        assert_eq!(weights(&average.network), weights(&first));
        // The statistics of the normalisation change, those of the average do not.
        let before = weights(&average.network);
        for network in [&first, &first, &second, &second] {
            // A visitor sees the statistics of the pass before the last.
            network.run(input.clone());
        }
        assert_eq!(weights(&average.network), before);
        assert_ne!(weights(&first), before);
        // Steps 0 and 100 have the decays 0.1 and 0.6.
        for (steps, decay) in [(0, 0.1), (100, 0.6)] {
            let average = Average::new(&first, 0.6, steps).train().with(&second);
            let both = weights(&first).into_iter().zip(weights(&second));
            for (got, (a, b)) in weights(&average.network).into_iter().zip(both) {
                assert!((got - (decay * a + (1.0 - decay) * b)).abs() < 1e-6);
            }
        }
        // It has no gradient of its own.
        let average = average.train();
        let outputs = average.network.run(input.clone()) + first.run(input);
        let gradients = GradientsParams::from_grads(outputs.sum().backward(), &average);
        assert!(gradients.is_empty());
    }

    #[test]
    fn gradients_are_bounded_together() {
        let device = Device::default().autodiff();
        let linear: Linear = LinearConfig::new(2, 1).init(&device);
        let input = Tensor::<2>::from_floats([[2.0, 4.0]], &device);
        let gradients = |factor: f64| {
            let loss = linear.forward(input.clone()).sum() * factor;
            GradientsParams::from_grads(loss.backward(), &linear)
        };
        // Of weights 2 and 4 and of the bias 1: a norm of the square root of 21.
        let of = |gradients: &GradientsParams| -> Vec<f32> {
            let weights = gradients.get::<2>(linear.weight.id).unwrap();
            let bias = gradients
                .get::<1>(linear.bias.as_ref().unwrap().id)
                .unwrap();
            let all = Tensor::cat(vec![weights.reshape([-1]), bias], 0);
            all.into_data().try_to_vec().unwrap()
        };
        for (factor, most, expected) in [
            (1.0, 5.0, 1.0),
            (1.0, 21f32.sqrt() / 2.0, 0.5),
            (10.0, 5.0, 5.0 / 21f32.sqrt()),
        ] {
            let clipped = of(&clip(&linear, gradients(factor), f64::from(most)));
            for (got, full) in clipped.into_iter().zip([2.0, 4.0, 1.0]) {
                assert!((got - expected * full).abs() < 1e-4, "{got} {full}");
            }
        }
    }
}
