//! Small language models trained to see where massive values come from.
