//! Neurons whose spikes are whole numbers.

use super::{Decay, EquationConfig, EquationNeuron, Reset, ResetRule, Spikes, Threshold, decayed};
use crate::dynamics::{Fire, Real, Step};
use crate::{InvalidConfig, equation_config};

equation_config! {
    /// Configuration of an [`IntegerLif`]. The defaults are those of SpikeYOLO's I-LIF.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{IntegerLifConfig, Neuron};
    ///
    /// let device = Device::default();
    /// let neuron = IntegerLifConfig::new().init(&device)?;
    /// let input = Tensor::<2>::from_floats([[0.2, 0.6, 2.7, 9.0]], &device);
    /// let (spikes, _state) = neuron.forward(input, None);
    /// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 3.0, 4.0]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct IntegerLifConfig {
        /// The height of a level: a number, one for each channel, or learned.
        with_threshold => threshold: Threshold = Threshold::from(1.0),
        /// Decay factor of the membrane potential per time step, 0 to 1: a number, one for each channel, or learned. With 0
        /// neurons have no memory.
        with_decay => decay: Decay = Decay::from(0.25),
        /// The largest spike (`D`), from 1 to 64.
        with_levels => levels: u32 = 4,
        /// True if spikes are divided by `levels`, so that they are from 0 to 1.
        with_normalized => normalized: bool = false,
    }
}

/// Leaky integrate-and-fire neurons whose spikes are whole numbers up to `levels`, of any shape.
///
/// ```text
/// u[t] = decay v[t-1] + x[t]
/// n[t] = round(u[t] / threshold), from 0 to levels; halves round to the even number
/// v[t] = u[t] - threshold n[t]
/// o[t] = n[t] / levels, or n[t] if not `normalized`
/// ```
///
/// With the default surrogate, a rectangle of the width of a level, and a threshold of 1, the derivative of `n` is 1 from 0 to
/// `levels` and 0 elsewhere: the straight-through estimator of the papers. For another threshold, set a rectangle of that width. A
/// neuromorphic chip sends a spike of `n` as `n` spikes in so many steps.
///
/// Luo, Yao, Chou, Xu, Li: *Integer-Valued Training and Spike-Driven Inference Spiking Neural Network for High-performance and
/// Energy-efficient Object Detection* (SpikeYOLO), ECCV 2024, for I-LIF; Yao et al.: *Scaling Spike-driven Transformer with
/// Efficient Spike Firing Approximation Training*, 2025 (E-SpikeFormer), for normalised ones, with a decay of 0.
///
/// Created by [`IntegerLifConfig`].
///
/// State: `v`, the membrane potential.
pub type IntegerLif = EquationNeuron<IntegerLifConfig>;

/// Brings what is at the edge of a rectangle inside of it.
const WITHIN: f64 = f32::EPSILON as f64;

/// Below every other difference of two potentials, at least in normal numbers.
pub(super) const JUST_ABOVE: f64 = f32::MIN_POSITIVE as f64;

impl EquationConfig for IntegerLifConfig {
    equations!(IntegerLif: decay, threshold);

    fn check(&self) -> Result<(), InvalidConfig> {
        Spikes::validate_levels(Self::NAME, "levels", self.levels)?;
        ResetRule::validate(Self::NAME, Reset::Soft, self.temporal_gradient, false)
    }
}

dynamics! {
    IntegerLifConfig: [v = 0.0];
    fn step(&self, [decay, threshold], x, fire) {
        let u = decayed(0.0, decay, v) + x;
        let mut spike = level(0, &u, threshold, fire);
        for below in 1..self.levels {
            spike = spike + level(below, &u, threshold, fire);
        }
        let rule = ResetRule::new(Reset::Soft, self.temporal_gradient);
        let carried = [rule.left(&u, &spike, threshold)];
        let spike = match self.normalized {
            true => spike.scale(1.0 / f64::from(self.levels)),
            false => spike,
        };
        Step { carried, u, spike }
    }
}

/// One level more than those `below`, or 0.
#[inline(always)]
fn level<R: Real>(below: u32, u: &R, threshold: &R, fire: &impl Fire<R>) -> R {
    let over = u.clone() - threshold.clone().scale(f64::from(below) + 0.5);
    // With the default surrogate each whole number, where attention among spikes often is, is within one rectangle: the upper edge
    // of that of its level, and 0 the lower one of the first.
    let over = match below {
        0 => over.scale(1.0 - WITHIN),
        _ => over.clone() - over.positive().scale(WITHIN),
    };
    // Halves round to the even level: 0 is not enough for an odd one.
    let least = if below.is_multiple_of(2) {
        JUST_ABOVE
    } else {
        0.0
    };
    fire.fire(over.plus(-least))
}
