//! Tests of the rules on tiny programs.
