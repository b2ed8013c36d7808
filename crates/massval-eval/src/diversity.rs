//! How varied a text is.
