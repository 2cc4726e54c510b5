//! The error of every constructor that checks its parameters.

use std::borrow::Cow;
use std::fmt::Display;

/// A configuration has an invalid value.
///
/// ```
/// use synfire::surrogate::Surrogate;
///
/// let error = Surrogate::rectangular(-1.0).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "invalid `a` of rectangular surrogate: -1, expected a number from 1e-37 to 1e37"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid `{field}` of {owner}: {value}, expected {expected}")]
pub struct InvalidConfig {
    /// The type that was being configured.
    pub owner: &'static str,
    /// The parameter that was rejected.
    pub field: &'static str,
    /// Its value, as text.
    pub value: String,
    /// The accepted values.
    pub expected: Cow<'static, str>,
}

impl InvalidConfig {
    /// An error for `field` of `owner`.
    pub fn new(
        owner: &'static str,
        field: &'static str,
        value: impl Display,
        expected: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            owner,
            field,
            value: value.to_string(),
            expected: expected.into(),
        }
    }

    /// Returns a value if it is accepted.
    ///
    /// # Errors
    ///
    /// If it is not: the error names owner, field, value and what was expected.
    pub fn require<T: Display>(
        owner: &'static str,
        field: &'static str,
        value: T,
        accepted: bool,
        expected: impl Into<Cow<'static, str>>,
    ) -> Result<T, Self> {
        match accepted {
            true => Ok(value),
            false => Err(Self::new(owner, field, value, expected)),
        }
    }

    /// Rejects a list with a size that [`require_size`](Self::require_size) rejects.
    pub fn require_sizes(
        owner: &'static str,
        field: &'static str,
        values: &[usize],
    ) -> Result<(), Self> {
        let mut values = values.iter();
        values.try_for_each(|value| Self::require_size(owner, field, *value).map(drop))
    }
}

/// Defines checks of a number, which differ in what they accept and in how the error says it.
macro_rules! checks {
    ($(
        $(#[$doc:meta])*
        $visibility:vis fn $name:ident($value:ident: $type:ty) -> ($accepted:expr, $expected:literal);
    )+) => {
        impl InvalidConfig {
            $(
                $(#[$doc])*
                $visibility fn $name(
                    owner: &'static str,
                    field: &'static str,
                    $value: $type,
                ) -> Result<$type, Self> {
                    Self::require(owner, field, $value, $accepted, $expected)
                }
            )+
        }
    };
}

checks! {
    /// Rejects everything but positive numbers that are finite in single precision, as are their reciprocals.
    pub fn require_positive(value: f64) -> ((1e-37..=1e37).contains(&value), "a number from 1e-37 to 1e37");

    /// Rejects NaN and numbers that are infinite in single precision.
    pub fn require_finite(value: f64) -> ((-1e37..=1e37).contains(&value), "a number from -1e37 to 1e37");

    /// Rejects 0 and sizes above 2^24, as products of two larger ones may overflow.
    pub fn require_size(value: usize) -> ((1..=1 << 24).contains(&value), "from 1 to 16777216");

    /// Rejects time constants, in steps, that are not above 1.
    pub(crate) fn require_tau(value: f64) -> (value > 1.0 && value <= 1e37, "a number above 1, at most 1e37");

    /// Rejects 0, and numbers of steps whose square is too large for a matrix of weights.
    pub fn require_steps(value: usize) -> ((1..=65_536).contains(&value), "from 1 to 65536");

    /// Rejects 0.
    pub fn require_nonzero(value: usize) -> (value > 0, "at least 1");

    /// Rejects fractions outside of `[0, 1]`.
    pub fn require_part(value: f64) -> ((0.0..=1.0).contains(&value), "a number from 0 to 1");

    /// Rejects all but numbers between 0 and 1, the values of a sigmoid.
    pub(crate) fn require_sigmoid(value: f64)
        -> (value > 0.0 && value < 1.0, "a number above 0 and below 1 for a sigmoid");
}
