//! Spikes of more than one kind.

use serde::{Deserialize, Serialize};

use super::dynamics::{Dynamics, ResetRule, Step};
use super::real::{Fire, Real};
use crate::InvalidConfig;

/// What a [`Lif`](super::Lif) can fire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spikes {
    /// 0 or 1.
    #[default]
    Binary,
    /// -1, 0 or 1: `o = [u >= V_th] - [-u >= V_th]`. A hard reset follows either spike, a soft one takes `V_th o`. These are
    /// SpikingJelly's `TernaryIFNode` and `TernaryLIFNode`; Guo et al. (2024), *Ternary Spike: Learning Ternary Spikes for
    /// Spiking Neural Networks*.
    Ternary,
    /// From 0 to so many: `o = [u >= V_th] + [u >= 2 V_th] + ...`. A hard reset follows any, a soft one takes `V_th o`.
    Levels(u32),
}

impl Spikes {
    /// The most levels that there can be.
    const MOST: u32 = 64;

    pub(super) fn validate(self, owner: &'static str) -> Result<(), InvalidConfig> {
        match self {
            Self::Levels(levels) if !(1..=Self::MOST).contains(&levels) => {
                let expected = "from 1 to 64 levels";
                Err(InvalidConfig::new(owner, "spikes", levels, expected))
            }
            Self::Binary | Self::Ternary | Self::Levels(_) => Ok(()),
        }
    }
}

/// The equations of a [`Lif`](super::Lif) whose spikes are of more than one kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GradedEquations {
    pub spikes: Spikes,
    pub rest: f64,
    pub decay_input: bool,
    pub rule: ResetRule,
}

impl Dynamics<1, 2> for GradedEquations {
    fn rest(&self) -> [f64; 1] {
        [self.rest]
    }

    #[inline(always)]
    fn step<R: Real>(
        &self,
        [decay, threshold]: &[R; 2],
        [v]: [R; 1],
        x: R,
        fire: &impl Fire<R>,
    ) -> Step<R, 1> {
        let x = match self.decay_input {
            true => (-decay.clone()).plus(1.0) * x,
            false => x,
        };
        let v = match self.rest {
            0.0 => decay.clone() * v,
            rest => (decay.clone() * v.plus(-rest)).plus(rest),
        };
        let u = v + x;
        let first = fire.fire(u.clone() - threshold.clone());
        // The spike, and whether there is any.
        let (spike, any) = match self.spikes {
            Spikes::Binary => (first.clone(), first),
            Spikes::Ternary => {
                let below = fire.fire(-u.clone() - threshold.clone());
                (first.clone() - below.clone(), first + below)
            }
            Spikes::Levels(levels) => {
                let mut spike = first.clone();
                for level in 2..=levels {
                    let height = threshold.clone().scale(f64::from(level));
                    spike = spike + fire.fire(u.clone() - height);
                }
                (spike, first)
            }
        };
        let v = self.rule.left_by(&u, &any, &spike, threshold);
        Step {
            carried: [v],
            u,
            spike,
        }
    }
}
