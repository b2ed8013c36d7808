//! Tasks whose answer stands in the prompt, generated from a seed.
