//! Tasks whose answer stands in the weights: capitals and cities, and what happens when the prompt contradicts.
