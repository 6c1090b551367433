//! What the product survives. Every test shows that its fault happened.

mod audit;
mod kills;
mod outages;
mod refusals;
mod setup;
