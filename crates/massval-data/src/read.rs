//! Readers of the usual sets in the schemas they are published in.
