//! How fast rows of the stream are decoded and looked at.
//! One frame of each kind that a busy table sends; throughput is in frames
//! and bytes, to be read as a ratio to the server's own decoding rate.

use std::hint::black_box;

use bytes::{BufMut, Bytes, BytesMut};
use capture_svc::pgoutput::{Datum, Message, decode};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const COLUMNS: u16 = 12;

/// A row of twelve columns, one of them NULL, one of them large and not sent.
fn put_row(frame: &mut BytesMut) {
    frame.put_u16(COLUMNS);
    for column in 0..COLUMNS {
        match column {
            5 => frame.put_u8(b'n'),
            9 => frame.put_u8(b'u'),
            _ => {
                let value = format!("value of column {column}");
                frame.put_u8(b't');
                frame.put_u32(u32::try_from(value.len()).unwrap_or(0));
                frame.put_slice(value.as_bytes());
            }
        }
    }
}

fn insert() -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(b'I');
    frame.put_u32(16_400);
    frame.put_u8(b'N');
    put_row(&mut frame);
    frame.freeze()
}

fn update_with_full_old_row() -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(b'U');
    frame.put_u32(16_400);
    frame.put_u8(b'O');
    put_row(&mut frame);
    frame.put_u8(b'N');
    put_row(&mut frame);
    frame.freeze()
}

/// Touches every value, as the router does for the columns it needs.
fn look_at(message: &Message) -> usize {
    let (Message::Insert { new, .. } | Message::Update { new, .. }) = message else {
        return 0;
    };
    new.iter()
        .map(|datum| match datum {
            Datum::Text(text) => text.len(),
            Datum::Null | Datum::Unchanged => 0,
        })
        .sum()
}

fn decoding(criterion: &mut Criterion) {
    for (name, frame) in [
        ("insert", insert()),
        ("update_full", update_with_full_old_row()),
    ] {
        let mut group = criterion.benchmark_group("decode");
        let bytes = u64::try_from(frame.len()).unwrap_or(0);
        group.throughput(Throughput::ElementsAndBytes { elements: 1, bytes });
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || frame.clone(),
                |frame| decode(black_box(frame)).map(|message| look_at(&message)),
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, decoding);
criterion_main!(benches);
