//! The parts of the worker that touch every document and every record: cutting bulk
//! bodies, pairing replies, moving offsets.

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::{DocumentVersion, Epoch, Incarnation, Lsn, Offset, Ordinal, Partition};
use worker_svc::assignment::{Assignments, Lane, Part};
use worker_svc::build::Built;
use worker_svc::bulk::{Bounds, bodies, parse_reply};
use worker_svc::offsets::{Progress, Reached};

const DOCUMENTS: u32 = 1_000;

fn built() -> Option<Built> {
    let version = DocumentVersion::new(Incarnation::FIRST, Ordinal::new(7)).ok()?;
    let mut built = Built::new(version, Instant::now());
    // About the size of the reference documents: 789 bytes.
    let document = format!("{{\"text\": \"{}\"}}", "x".repeat(770));
    for n in 0..DOCUMENTS {
        built.push(
            n.to_string(),
            vec![n.to_string()],
            Some(document.as_bytes()),
        );
    }
    Some(built)
}

fn bulk(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bulk");
    group.throughput(Throughput::Elements(u64::from(DOCUMENTS)));
    let bounds = Bounds {
        actions: 1_000,
        bytes: 10 << 20,
    };
    if let Some(built) = built() {
        group.bench_function("bodies of 1000 documents", |bencher| {
            bencher.iter(|| {
                let actions = built
                    .documents
                    .iter()
                    .map(|document| built.action(document));
                bodies(actions, bounds).for_each(|body| drop(black_box(body)));
            });
        });
    }
    let item = r#"{"index":{"result":"updated","status":200}}"#;
    let sent = usize::try_from(DOCUMENTS).unwrap_or(0);
    let reply = format!(
        "{{\"errors\":false,\"items\":[{}]}}",
        vec![item; sent].join(",")
    );
    group.bench_function("reply to 1000 documents", |bencher| {
        bencher.iter(|| black_box(parse_reply(reply.as_bytes(), sent)));
    });
    group.finish();
}

fn offsets(criterion: &mut Criterion) {
    let part = Part::new(Lane::Changes, Partition::new(0));
    let number = Assignments::new().assign(part);
    let mut group = criterion.benchmark_group("offsets");
    group.throughput(Throughput::Elements(u64::from(DOCUMENTS)));
    group.bench_function("1000 ranges, finished in reverse", |bencher| {
        bencher.iter(|| {
            let mut progress = Progress::new();
            progress.assigned(part, number, Offset::new(0), None);
            let mut tickets = Vec::new();
            for n in 1..=i64::from(DOCUMENTS) {
                let top = Reached {
                    epoch: Epoch::FIRST,
                    lsn: Lsn::new(n.unsigned_abs()),
                };
                let ticket = progress.register(part, number, Offset::new(n), Some(top));
                tickets.extend(ticket.ok().flatten());
            }
            for ticket in tickets.into_iter().rev() {
                drop(black_box(progress.finish(ticket)));
            }
            black_box(progress.take_commits())
        });
    });
    group.finish();
}

criterion_group!(benches, bulk, offsets);
criterion_main!(benches);
