//! What the product survives. Every test shows that its fault happened.

mod kills;
mod outages;
mod refusals;
mod setup;
