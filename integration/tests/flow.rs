//! What the product does when nothing fails.

mod changes;
mod lock;
mod scaling;
