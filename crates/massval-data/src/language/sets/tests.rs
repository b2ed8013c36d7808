//! What holds for every set.
