//! Figures on real servers.
//! In: `STACK_*` of the environment (`deploy/up`), the services built beside this binary.
//! Out: on standard output, for the whole pipeline one JSON object per measurement, and only with
//! the number of wrong documents at the end, which must be 0; for its SQL a table of figures
//! beside hand-written SQL in the same run.
#![expect(
    clippy::print_stdout,
    reason = "standard output is what this program is for"
)]

mod pipeline;
mod shop;
mod product;
mod hand;
mod rounds;
mod build;
mod resolve;
mod capture;

use anyhow::Result;
use clap::Parser;
use integration::stack::Stack;
use pipeline::Measurement;

#[derive(Parser)]
#[command(about = "Measures the product on real servers")]
enum Command {
    /// From commit to the document being readable by id, at a steady rate of root updates.
    Latency {
        /// Changes per second.
        #[arg(long, default_value_t = 200)]
        rate: u32,
        /// How long.
        #[arg(long, default_value_t = 30)]
        seconds: u32,
    },
    /// One transaction over many rows: how long until all are documents, and memory.
    Transaction {
        /// Its rows.
        #[arg(long, default_value_t = 1_000_000)]
        rows: u32,
    },
    /// Documents per second on one connection, beside hand-written SQL for the same documents.
    Build {
        #[command(flatten)]
        size: Size,
    },
    /// Capture beside `pg_recvlogical` on the same WAL; memory, processor time, bytes, latency.
    Capture {
        #[command(flatten)]
        sizes: capture::Sizes,
    },
    /// Changed children resolved and their documents built, beside hand-written SQL.
    Resolve {
        #[command(flatten)]
        size: Size,
    },
}

/// How much, how often.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Size {
    /// Orders of the shop; each has three lines.
    #[arg(long, default_value_t = 300_000)]
    orders: u32,
    /// Rounds; the median counts.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let command = Command::parse();
    let stack = Stack::from_env()?;
    match command {
        Command::Latency { rate, seconds } => {
            pipeline::measure(&stack, Measurement::Latency { rate, seconds }).await
        }
        Command::Transaction { rows } => {
            pipeline::measure(&stack, Measurement::Transaction { rows }).await
        }
        Command::Capture { sizes } => capture::measure(&stack, sizes).await,
        Command::Build { size } => build::measure(&stack, size.orders, size.rounds).await,
        Command::Resolve { size } => resolve::measure(&stack, size.orders, size.rounds).await,
    }
}
