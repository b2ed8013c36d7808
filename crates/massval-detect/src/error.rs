//! What can go wrong, said so that the reader knows which number to change.

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An input that the detector cannot answer for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The data and the shape or strides given with it do not belong together.
    #[error("shape {shape:?} with strides {strides:?} does not fit {len} elements: {reason}")]
    View {
        /// The shape that was asked for.
        shape: Vec<usize>,
        /// The strides, in elements; empty for contiguous data.
        strides: Vec<usize>,
        /// How many elements the data have.
        len: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A shape has the wrong number of dimensions for its layout.
    #[error("layout `{layout}` has {expected} dimensions, the shape {shape:?} has {}", shape.len())]
    Rank {
        /// The layout's name.
        layout: &'static str,
        /// The dimensions that it names.
        expected: usize,
        /// The shape that was given.
        shape: Vec<usize>,
    },
    /// A name that is not one of those known.
    #[error("unknown {what} `{given}`; known: {known}")]
    Unknown {
        /// What kind of thing was named.
        what: &'static str,
        /// The name that was given.
        given: String,
        /// The names that exist.
        known: &'static str,
    },
    /// A parameter outside its domain.
    #[error("{name} = {value}: must be {expected}")]
    Parameter {
        /// The parameter's name.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What would be allowed.
        expected: &'static str,
    },
    /// Two things that should describe the same tensor differ.
    #[error("{what}: expected {expected}, found {found}")]
    Mismatch {
        /// What was compared.
        what: &'static str,
        /// The number that the first of them says.
        expected: usize,
        /// The number that the second says.
        found: usize,
    },
    /// A massive value that lies outside the norms it is said to be of.
    #[error(
        "head {head}, channel {channel} lies outside norms of {heads} heads with {head_dim} channels"
    )]
    Outside {
        /// The value's head.
        head: usize,
        /// The value's channel.
        channel: usize,
        /// Heads of the norms.
        heads: usize,
        /// Channels of each head.
        head_dim: usize,
    },
    /// No token was left to look at.
    #[error(
        "no token was selected: the input is empty, or the token range and the padding mask leave nothing"
    )]
    NoTokens,
    /// A norm that is not finite, so the input holds NaN or infinities, or its squares overflow.
    #[error(
        "the norm of head {head}, channel {channel} is not finite: the input holds NaN, infinities or values too large"
    )]
    NonFiniteNorm {
        /// The head, from 0.
        head: usize,
        /// The channel, from 0.
        channel: usize,
    },
    /// An entry of the residual stream that is not finite.
    #[error(
        "the activation of sequence {sequence}, token {token}, channel {channel} is not finite"
    )]
    NonFiniteActivation {
        /// The sequence in the batch, from 0.
        sequence: usize,
        /// The token's position, from 0.
        token: usize,
        /// The channel, from 0.
        channel: usize,
    },
    /// More massive activations in one sequence than are kept.
    #[error(
        "more than {limit} massive activations in one sequence: raise the rule's `abs`, or look at fewer tokens"
    )]
    TooManyHits {
        /// The largest number of candidates that is kept.
        limit: usize,
    },
    /// The device could not return its results.
    #[error("the device returned no result: {reason}")]
    Device {
        /// What the device said.
        reason: String,
    },
}

/// `Ok` if `value` is finite and greater than zero.
pub(crate) fn positive(name: &'static str, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(Error::Parameter { name, value, expected: "finite and greater than 0" })
}

/// `Ok` if both numbers are the same.
pub(crate) fn same(what: &'static str, expected: usize, found: usize) -> Result<()> {
    if expected == found { Ok(()) } else { Err(Error::Mismatch { what, expected, found }) }
}
