//! Leaky integrators with a synaptic current.

use super::leaky::factors;
use super::membrane::{alike, elementwise, positive, settings, values};
use crate::Array;
use crate::error::Problem;
use crate::layer::{Build, Layer};
use crate::neuron::{CurrentMembraneConfig, Returns};
use crate::node::{Shapes, primitive};

primitive! {
    /// `tau_syn i' = -i + w_in x` and `tau_mem v' = (v_leak - v) + r i`, which returns `v`.
    pub struct CubaLI {
        /// The time constant of the current, above 0.
        pub tau_syn: Array,
        /// The time constant of the membrane, above 0.
        pub tau_mem: Array,
        /// The resistance.
        pub r: Array,
        /// The potential at rest.
        pub v_leak: Array,
        /// The factor of the input; without it, 1.
        pub w_in: Option<Array>,
    }

    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
        self.parts().shapes(input)
    }

    fn layer(&self, build: &Build) -> Result<Layer, Problem> {
        self.parts().layer(build)
    }
}

primitive! {
    /// `tau_syn i' = -i + w_in x` and `tau_mem v' = (v_leak - v) + r i`, which returns a spike where `v > v_threshold`; `v`
    /// then goes to `v_reset`.
    pub struct CubaLIF {
        /// The time constant of the current, above 0.
        pub tau_syn: Array,
        /// The time constant of the membrane, above 0.
        pub tau_mem: Array,
        /// The resistance.
        pub r: Array,
        /// The potential at rest.
        pub v_leak: Array,
        /// The potential above which it spikes.
        pub v_threshold: Array,
        /// The potential after a spike; without it, 0.
        pub v_reset: Option<Array>,
        /// The factor of the input; without it, 1.
        pub w_in: Option<Array>,
    }

    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
        self.parts().shapes(input)
    }

    fn layer(&self, build: &Build) -> Result<Layer, Problem> {
        self.parts().layer(build)
    }
}

/// The fields of either.
struct Parts<'a> {
    tau_syn: &'a Array,
    tau_mem: &'a Array,
    r: &'a Array,
    v_leak: &'a Array,
    w_in: Option<&'a Array>,
    spikes: Option<(&'a Array, Option<&'a Array>)>,
}

impl CubaLI {
    fn parts(&self) -> Parts<'_> {
        Parts {
            tau_syn: &self.tau_syn,
            tau_mem: &self.tau_mem,
            r: &self.r,
            v_leak: &self.v_leak,
            w_in: self.w_in.as_ref(),
            spikes: None,
        }
    }
}

impl CubaLIF {
    fn parts(&self) -> Parts<'_> {
        Parts {
            tau_syn: &self.tau_syn,
            tau_mem: &self.tau_mem,
            r: &self.r,
            v_leak: &self.v_leak,
            w_in: self.w_in.as_ref(),
            spikes: Some((&self.v_threshold, self.v_reset.as_ref())),
        }
    }
}

impl Parts<'_> {
    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
        positive("tau_syn", self.tau_syn)?;
        positive("tau_mem", self.tau_mem)?;
        let mut parameters = vec![
            ("tau_syn", self.tau_syn),
            ("tau_mem", self.tau_mem),
            ("r", self.r),
            ("v_leak", self.v_leak),
        ];
        parameters.extend(self.w_in.map(|w_in| ("w_in", w_in)));
        if let Some((v_threshold, v_reset)) = self.spikes {
            parameters.push(("v_threshold", v_threshold));
            parameters.extend(v_reset.map(|v_reset| ("v_reset", v_reset)));
        }
        elementwise(&parameters, input)
    }

    fn layer(&self, build: &Build) -> Result<Layer, Problem> {
        let shape = build.shapes.output.as_slice();
        let (zero, one) = (Array::from(0.0), Array::from(1.0));
        let (threshold, to) = self
            .spikes
            .map_or((&zero, None), |(threshold, to)| (threshold, to));
        let all = [
            self.tau_syn,
            self.w_in.unwrap_or(&one),
            self.tau_mem,
            self.r,
            self.v_leak,
            threshold,
            to.unwrap_or(&zero),
        ];
        let [tau_syn, w_in, tau_mem, r, leak, threshold, to] = alike(all, shape);
        let [synapse_decay, synapse_gain] = factors("tau_syn", tau_syn, w_in, build)?;
        let [decay, gain] = factors("tau_mem", tau_mem, r, build)?;
        let all = settings(build);
        let parameter = |all: Vec<f64>| values(all, shape);
        let mut config = CurrentMembraneConfig::new()
            .with_synapse_decay(parameter(synapse_decay))
            .with_synapse_gain(parameter(synapse_gain))
            .with_decay(parameter(decay))
            .with_gain(parameter(gain))
            .with_leak(parameter(leak))
            .with_current(build.options.current)
            .with_surrogate(all.surrogate)
            .with_forward(all.forward);
        if self.spikes.is_some() {
            config = config
                .with_threshold(parameter(threshold))
                .with_to(parameter(to))
                .with_returns(Returns::Spikes(build.options.reset));
        }
        let neuron = config.init(build.device);
        let neuron = neuron
            .map_err(|error| Problem::new("dt", format!("makes an invalid step: {error}")))?;
        Ok(Layer::CurrentMembrane(neuron))
    }
}
