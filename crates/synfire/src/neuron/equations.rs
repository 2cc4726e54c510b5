//! All equations that neurons have, for kernels.

use super::ad_lif::AdLifEquations;
use super::adaptive_lif::AdaptiveLifEquations;
use super::alpha_lif::AlphaLifEquations;
use super::cuba_lif::CubaLifEquations;
use super::exponential_if::ExponentialIfEquations;
use super::gated_lif::GatedLifEquations;
use super::graded::GradedEquations;
use super::izhikevich::IzhikevichEquations;
use super::klif::KlifEquations;
use super::quadratic_if::QuadraticIfEquations;
use super::resonate_and_fire::ResonateAndFireEquations;

/// Defines [`AnyEquations`] out of the equations that there are.
macro_rules! any_equations {
    ($($name:ident($equations:ty),)+) => {
        /// The equations of one of the neurons.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum AnyEquations {
            $($name($equations),)+
        }

        $(
            impl From<$equations> for AnyEquations {
                fn from(equations: $equations) -> Self {
                    Self::$name(equations)
                }
            }
        )+
    };
}

any_equations! {
    AdLif(AdLifEquations),
    AdaptiveLif(AdaptiveLifEquations),
    AlphaLif(AlphaLifEquations),
    CubaLif(CubaLifEquations),
    ExponentialIf(ExponentialIfEquations),
    GatedLif(GatedLifEquations),
    Graded(GradedEquations),
    Izhikevich(IzhikevichEquations),
    Klif(KlifEquations),
    QuadraticIf(QuadraticIfEquations),
    ResonateAndFire(ResonateAndFireEquations),
}

/// Runs `$body` with the equations of one neuron, and with the numbers that go with them: of what it carries and what it is
/// given, and of what there are derivatives by without and with the latter.
macro_rules! with_equations {
    ($any:expr, ($equations:ident, $n:ident, $p:ident, $plain:ident, $learned:ident) => $body:expr) => {
        $crate::neuron::with_equations!(
            @match $any, ($equations, $n, $p, $plain, $learned) => $body,
            AdLif 2 5,
            AdaptiveLif 2 4,
            AlphaLif 3 4,
            CubaLif 2 3,
            ExponentialIf 1 1,
            GatedLif 2 5,
            Graded 1 2,
            Izhikevich 2 1,
            Klif 1 3,
            QuadraticIf 1 1,
            ResonateAndFire 2 3,
        )
    };
    (@match $any:expr, $names:tt => $body:expr, $($name:ident $carried:literal $given:literal,)+) => {
        match $any {
            $($crate::neuron::AnyEquations::$name(equations) => {
                $crate::neuron::with_equations!(@arm equations, $carried, $given, $names => $body)
            })+
        }
    };
    (@arm $value:ident, $carried:literal, $given:literal,
        ($equations:ident, $n:ident, $p:ident, $plain:ident, $learned:ident) => $body:expr) => {{
        const $n: usize = $carried;
        const $p: usize = $given;
        #[allow(dead_code)]
        const $plain: usize = $n + 1;
        #[allow(dead_code)]
        const $learned: usize = $n + 1 + $p;
        let $equations = $value;
        $body
    }};
}

pub(crate) use with_equations;
