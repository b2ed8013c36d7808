//! Interventions on attention.
