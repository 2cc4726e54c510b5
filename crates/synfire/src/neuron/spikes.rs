//! Binary, ternary and multi-level spikes.

use serde::{Deserialize, Serialize};

use crate::InvalidConfig;
use crate::dynamics::{Fire, Real};

/// Spike values of a [`Lif`](super::Lif).
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
    /// From 0 to this many: `o = [u >= V_th] + [u >= 2 V_th] + ...`. A hard reset follows any, a soft one subtracts `V_th o`.
    Levels(u32),
}

impl Spikes {
    /// Maximum number of levels.
    const MOST: u32 = 64;

    pub(super) fn validate(self, owner: &'static str) -> Result<(), InvalidConfig> {
        match self {
            Self::Levels(levels) => Self::validate_levels(owner, "spikes", levels),
            Self::Binary | Self::Ternary => Ok(()),
        }
    }

    /// Checks a number of levels, the value of `field`.
    pub(super) fn validate_levels(
        owner: &'static str,
        field: &'static str,
        levels: u32,
    ) -> Result<(), InvalidConfig> {
        let accepted = (1..=Self::MOST).contains(&levels);
        InvalidConfig::require(owner, field, levels, accepted, "from 1 to 64 levels").map(drop)
    }

    /// The spike at a membrane potential, and whether there is any: 1 or 0.
    #[inline(always)]
    pub(super) fn fire<R: Real>(self, u: &R, threshold: &R, fire: &impl Fire<R>) -> (R, R) {
        let first = fire.fire(u.clone() - threshold.clone());
        match self {
            Self::Binary => (first.clone(), first),
            Self::Ternary => {
                let below = fire.fire(-u.clone() - threshold.clone());
                (first.clone() - below.clone(), first + below)
            }
            Self::Levels(levels) => {
                let mut spike = first.clone();
                for level in 2..=levels {
                    let height = threshold.clone().scale(f64::from(level));
                    spike = spike + fire.fire(u.clone() - height);
                }
                (spike, first)
            }
        }
    }
}
