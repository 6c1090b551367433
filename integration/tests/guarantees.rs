//! A test for each guarantee, by its id.
