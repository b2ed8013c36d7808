//! What can go wrong, with the tensor and the number that are at fault.

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Something that cannot be quantized, packed or read as asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Data whose size is not what its place demands.
    #[error("{tensor}: {what}: expected {expected}, found {found}")]
    Shape {
        /// The tensor or linear.
        tensor: String,
        /// What was counted.
        what: &'static str,
        /// What it should be.
        expected: usize,
        /// What it is.
        found: usize,
    },
    /// A group size that does not divide the inputs of a linear.
    #[error(
        "{tensor}: groups of {group} do not divide its {inputs} inputs; choose a divisor of {inputs}"
    )]
    Group {
        /// The linear.
        tensor: String,
        /// Its inputs.
        inputs: usize,
        /// The group size that was asked for.
        group: usize,
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
    /// A weight or an activation that is NaN or infinite.
    #[error("{tensor}: row {row}, column {column} is not finite")]
    NonFinite {
        /// The tensor.
        tensor: String,
        /// Row: an output of a weight, a token of activations.
        row: usize,
        /// Column: an input channel.
        column: usize,
    },
    /// A calibration that reached this linear with no token.
    #[error(
        "{tensor}: the calibration saw no token here; is the text empty, or the layer never run?"
    )]
    NoTokens {
        /// The linear.
        tensor: String,
    },
    /// A statistic that overflowed, or was given as NaN.
    #[error("{tensor}: the {statistic} of input channel {channel} is not finite")]
    NonFiniteStatistic {
        /// The linear.
        tensor: String,
        /// Which statistic.
        statistic: &'static str,
        /// The input channel.
        channel: usize,
    },
    /// Every input of a linear was zero on every token of the calibration.
    #[error("{tensor}: every input was zero on every token of the calibration")]
    DeadInputs {
        /// The linear.
        tensor: String,
    },
    /// A Hessian that stayed indefinite whatever was added to its diagonal.
    #[error(
        "{tensor}: the Hessian is not positive definite, even with {damp} of its mean diagonal added \
         ({retries} retries)"
    )]
    NotPositiveDefinite {
        /// The linear.
        tensor: String,
        /// The largest damping that was tried, as a share of the mean diagonal.
        damp: f64,
        /// How often the damping was raised.
        retries: usize,
    },
    /// A range too wide for the type that scales are stored in.
    #[error("{tensor}: the scale of row {row}, group {group} does not fit into {scale_type}")]
    ScaleOverflow {
        /// The tensor.
        tensor: String,
        /// The row.
        row: usize,
        /// The group in that row.
        group: usize,
        /// The type of the scales.
        scale_type: crate::ScaleType,
    },
    /// A quantized linear that a format has no words for.
    #[error("{tensor}: {format} cannot hold {what}; {hint}")]
    NotRepresentable {
        /// The linear.
        tensor: String,
        /// The format.
        format: &'static str,
        /// What it cannot hold.
        what: String,
        /// What to do instead.
        hint: &'static str,
    },
    /// A tensor that a quantized linear needs and the checkpoint does not have.
    #[error("{tensor} is missing from the checkpoint")]
    MissingTensor {
        /// The full name of the tensor.
        tensor: String,
    },
    /// A stored tensor of the wrong type, shape or content.
    #[error("{tensor}: {reason}")]
    Stored {
        /// The full name of the tensor.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A field of `quantization_config` that is missing, malformed or asks for what massval cannot do.
    #[error("quantization_config.{field}: {reason}")]
    Config {
        /// The field's path.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A finding, head or channel that the model does not have.
    #[error("{what} {index} does not exist: there are {count}")]
    Outside {
        /// What was named: a head, a channel, a row.
        what: &'static str,
        /// Its number.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// A recipe that is none, or contradicts itself.
    #[error("the recipe: {reason}")]
    Recipe {
        /// What is wrong with it.
        reason: String,
    },
    /// A linear that the model does not have.
    #[error(
        "the recipe names {linear}, which the model does not have; its linears are called like {example}"
    )]
    NoSuchLinear {
        /// The name in the recipe.
        linear: String,
        /// The name of one that exists.
        example: String,
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
    /// A head with fewer channels left than the control draws.
    #[error(
        "layer {layer}, {projection}, head {head}: {wanted} random channels are wanted beside the massive \
         ones, {left} are left"
    )]
    TooFewChannels {
        /// The layer.
        layer: usize,
        /// `q` or `k`.
        projection: &'static str,
        /// The head.
        head: usize,
        /// How many are to be drawn.
        wanted: usize,
        /// How many there are to draw from.
        left: usize,
    },
}

/// `Ok` if a count is what it must be.
pub(crate) fn same(tensor: &str, what: &'static str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Shape { tensor: tensor.to_owned(), what, expected, found })
}

/// `Ok` if `value` lies in the closed range.
pub(crate) fn within(
    name: &'static str,
    value: f64,
    range: std::ops::RangeInclusive<f64>,
    expected: &'static str,
) -> Result<()> {
    if range.contains(&value) { Ok(()) } else { Err(Error::Parameter { name, value, expected }) }
}
