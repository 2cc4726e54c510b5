//! The error of every constructor that checks its parameters.

use std::fmt::Display;

/// A parameter outside of what its owner accepts.
///
/// ```
/// use synfire::surrogate::Surrogate;
///
/// let error = Surrogate::rectangular(-1.0).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "invalid `a` of rectangular surrogate: -1, expected a finite number above 0"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid `{field}` of {owner}: {value}, expected {expected}")]
pub struct InvalidConfig {
    /// What was being configured.
    pub owner: &'static str,
    /// The parameter that was rejected.
    pub field: &'static str,
    /// Its value, as text.
    pub value: String,
    /// What would have been accepted.
    pub expected: &'static str,
}

impl InvalidConfig {
    /// An error for `field` of `owner`.
    pub fn new(
        owner: &'static str,
        field: &'static str,
        value: impl Display,
        expected: &'static str,
    ) -> Self {
        Self {
            owner,
            field,
            value: value.to_string(),
            expected,
        }
    }

    /// Rejects everything but finite numbers above 0.
    pub fn require_positive(
        owner: &'static str,
        field: &'static str,
        value: f64,
    ) -> Result<f64, Self> {
        if value.is_finite() && value > 0.0 {
            Ok(value)
        } else {
            Err(Self::new(owner, field, value, "a finite number above 0"))
        }
    }

    /// Rejects NaN and infinities.
    pub fn require_finite(
        owner: &'static str,
        field: &'static str,
        value: f64,
    ) -> Result<f64, Self> {
        if value.is_finite() {
            Ok(value)
        } else {
            Err(Self::new(owner, field, value, "a finite number"))
        }
    }

    /// Rejects 0.
    pub fn require_nonzero(
        owner: &'static str,
        field: &'static str,
        value: usize,
    ) -> Result<usize, Self> {
        if value > 0 {
            Ok(value)
        } else {
            Err(Self::new(owner, field, value, "at least 1"))
        }
    }
}
